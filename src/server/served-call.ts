import type { IncomingHttpHeaders } from "node:http";
import { constants } from "node:http2";
import type { Writable } from "node:stream";
import type { ConnectError, ContextValues, HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError as CallError, createContextKey } from "@connectrpc/connect";
import type { Protocol } from "../rpc/call.ts";
import { Call, contextValuesOf } from "../rpc/call.ts";
import type { Gate } from "../rpc/interceptors.ts";
import { describeTo } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import type { CallWatch, Watched, Watching } from "./call-watch.ts";
import type { Peer } from "./exchange.ts";
import { toHeaders } from "./exchange.ts";
import type { LimitedCall, Line } from "./line.ts";

/** The dependencies of calls, shared by all protocols. */
export interface CallHost {
  readonly gate: Gate;
  readonly watch: CallWatch;
  /** The open calls of methods that run in the background. */
  readonly background: Set<ServedCall>;
  readonly logger: AuditLogger;
  /** All served methods. */
  readonly methods: readonly ServedMethod[];
  /** The prepared error for a call that gets no slot or loses it. */
  readonly overloaded: ConnectError;
  /** Called for every call when its headers have arrived. */
  readonly onCallStart: (call: Call) => void;
  /** Called for every call when it has ended, also when the client has left or the deadline has passed. */
  readonly onCallEnd: (call: Call) => void;
}

/** The properties of a call that a protocol reads from the headers. */
export interface ServedCallInit {
  readonly host: CallHost;
  readonly method: ServedMethod;
  readonly protocol: Protocol;
  readonly requestId: string;
  readonly headers: IncomingHttpHeaders;
  readonly peer: Peer;
  /** The client's time limit, in ms; undefined when it sets none. */
  readonly timeoutMs: number | undefined;
}

/** Context key under which handlers find their call. */
export const servedCallKey = createContextKey<ServedCall | undefined>(undefined, { description: "served call" });

/**
 * The life of a call from its headers to its end, which is the same in every protocol. A call takes a slot, reads its
 * request, waits for its turn, passes the gate and runs. Without a slot, it waits for its refusal. It ends with an answer,
 * an error, the deadline or a cancellation, whichever comes first. Subclasses read requests and write answers in their
 * protocol. Handlers get the call as their context.
 */
export abstract class ServedCall implements HandlerContext, LimitedCall, Watched {
  readonly call: Call;
  readonly values: ContextValues;
  protected readonly host: CallHost;
  readonly #line: Line;
  #requestHeader: Headers | undefined;
  /** The headers that the handler has set; undefined until it uses them. */
  protected ownHeader: Headers | undefined;
  protected ownTrailer: Headers | undefined;
  /** Written by the line. */
  seat = -1;
  #watching: Watching | undefined;
  #isQueued = false;
  #hasLostSlot = false;
  hasBegun = false;
  hasArrived = false;

  constructor({ host, method, protocol, requestId, headers, peer, timeoutMs }: ServedCallInit) {
    this.call = new Call({
      method,
      protocol,
      requestId,
      address: peer.address,
      authorization: headers.authorization,
      headers,
      timeoutMs,
      onEnd: host.onCallEnd,
    });
    this.values = contextValuesOf(this.call).set(servedCallKey, this);
    this.host = host;
    this.#line = peer.line;
  }

  /** The name that Connect uses for the protocol. */
  abstract readonly protocolName: string;
  abstract readonly requestMethod: string;

  abstract readonly writtenBytes: number;
  abstract readonly pendingBytes: number;
  /** Whether the answer is complete or the client has gone. */
  abstract readonly isOver: boolean;
  /** Reads the part of the request that is needed before the call begins, then calls {@link arrive}. */
  protected abstract read(): void;
  /** Runs the handler and answers. Returns no promise when the answer is ready at once. */
  protected abstract run(): void | Promise<void>;
  /** Answers with an error, or ends an answer that has begun with it. Called at most once, and never after the end. */
  protected abstract answerError(error: ConnectError): void;
  /** Aborts the answer. Sends nothing more. */
  protected abstract cutAnswer(): void;

  /** The URL for handlers. The host is a placeholder, because the client's Host header is not reliable. */
  get url(): string {
    return `http://localhost/${this.call.method.name}`;
  }

  get method(): HandlerContext["method"] {
    return this.call.method.spec.method;
  }

  get service(): HandlerContext["service"] {
    return this.method.parent;
  }

  /** Created on first use, like the headers below. */
  get signal(): AbortSignal {
    return this.call.signal;
  }

  /** Handlers may call this function without the context. */
  get timeoutMs(): () => number {
    return () => this.call.timeoutMs();
  }

  get requestHeader(): Headers {
    return (this.#requestHeader ??= toHeaders(this.call.headers));
  }

  get responseHeader(): Headers {
    return (this.ownHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.ownTrailer ??= new Headers());
  }

  get startedAt(): number {
    return this.call.startedAt;
  }

  get deadlineAt(): number {
    return this.call.deadlineAt;
  }

  /** Starts the call. Must be called only once. The protocol calls {@link close} when the stream has closed. */
  start(): void {
    this.host.onCallStart(this.call);
    this.#watching = this.host.watch.add(this);
    if (this.call.method.rule.isBackground === true) {
      this.host.background.add(this);
    } else {
      this.#line.enterOrRefuse(this);
    }
    if (!this.isOver) {
      this.read();
    }
  }

  begin(): void {
    this.hasBegun = true;
    const now = performance.now();
    this.call.begunAt = now;
    if (now >= this.deadlineAt) {
      this.expire();
      return;
    }
    const refusal = this.host.gate(this.call);
    if (refusal === undefined) {
      this.#run();
    } else {
      this.#answerPrepared(refusal);
    }
  }

  loseSlot(): void {
    this.#hasLostSlot = true;
    // The rest of the request is discarded as it arrives.
    this.hasArrived = true;
  }

  refuse(): void {
    this.#answerPrepared(this.host.overloaded);
  }

  expire(): void {
    this.call.expire();
    this.fail(this.call.cutBy);
  }

  /** Ends the call because the service stops. */
  shutDown(): void {
    this.call.cut(new CallError("the service is shutting down", Code.Unavailable));
    this.fail(this.call.cutBy);
  }

  endLate(): void {
    this.fail(new CallError("the request did not arrive in time", Code.DeadlineExceeded));
  }

  cut(): void {
    this.call.cut(new CallError("the client does not read the answer", Code.Aborted));
    this.end(this.call.cutBy?.code);
    this.cutAnswer();
  }

  /** Called when enough of the request has arrived. From then on, the call waits for its turn. */
  protected arrive(): void {
    this.hasArrived = true;
    if (!this.#isQueued && !this.#hasLostSlot) {
      this.#isQueued = true;
      this.#line.push(this);
    }
  }

  /** Maps an error for the caller and answers with it. */
  protected fail(error: unknown): void {
    if (!this.isOver) {
      const described = describeTo(this.call, error, this.host.logger);
      this.answerError(described);
      this.end(described.code);
    }
  }

  /**
   * Called when the answer has been written. Frees the slot now, because the client decides when the stream closes.
   */
  protected end(code: Code | undefined): void {
    this.call.end(code);
    this.#line.leave(this);
  }

  /**
   * Like {@link end}, but for a stream of messages. The call ends when the client has taken the last message. If the
   * client leaves before that, the call is cancelled.
   */
  protected endWhenTaken(code: Code | undefined, answer: Writable): void {
    const endIfTaken = (): void => {
      // An HTTP/2 stream without trailers emits "close" without "finish".
      if (answer.writableFinished || ("rstCode" in answer && answer.rstCode === constants.NGHTTP2_NO_ERROR)) {
        this.call.end(code);
      }
    };
    answer.once("finish", endIfTaken);
    // This listener must run before the one that cancels the call.
    answer.prependOnceListener("close", endIfTaken);
    this.#line.leave(this);
  }

  /** Called when the stream or the connection has closed. */
  close(): void {
    if (this.#watching !== undefined) {
      this.host.watch.remove(this.#watching);
    }
    this.host.background.delete(this);
    this.#line.leave(this);
    if (this.hasBegun) {
      this.#line.done();
    }
    this.call.cancel();
  }

  #run(): void {
    try {
      this.run()?.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  #answerPrepared(prepared: ConnectError): void {
    if (!this.isOver) {
      this.answerError(prepared);
    }
    this.end(prepared.code);
  }
}
