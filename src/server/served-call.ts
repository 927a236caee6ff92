import type { IncomingHttpHeaders } from "node:http";
import type { ConnectError, ContextValues, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError as CallError, createContextKey } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";
import { contextValuesOf } from "../rpc/call.ts";
import type { Gate } from "../rpc/interceptors.ts";
import { describeTo } from "../rpc/interceptors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Line, Placed } from "./call-queue.ts";
import type { CallWatch, Watched } from "./call-watch.ts";
import type { Peer } from "./exchange.ts";
import { toHeaders } from "./exchange.ts";

/** A call that may wait for ever. */
export interface BackgroundCall {
  /** Ends it because the service stops. */
  shutDown(): void;
}

/** What every transport needs to serve calls, whatever their protocol. */
export interface CallHost {
  readonly interceptors: readonly Interceptor[];
  readonly gate: Gate;
  readonly watch: CallWatch;
  /** The open calls of methods that run in the background. */
  readonly background: Set<BackgroundCall>;
  readonly logger: Logger;
  /** What a call is told that finds no place; prepared beforehand. */
  readonly overloaded: ConnectError;
  /** Told of every call when its headers have arrived. */
  readonly onCallStart: (call: Call) => void;
  /** Told of every call at its true end. */
  readonly onCallEnd: (call: Call) => void;
}

/** Where handlers find the call that they serve. */
export const servedCallKey = createContextKey<ServedCall | undefined>(undefined, { description: "served call" });

/**
 * The life of a call from its headers to its end, the same over every protocol: it takes a place, reads its request,
 * waits for its turn, passes the gate, runs, and is ended by whatever comes first. How requests are read and answers are
 * written is up to the protocol.
 */
export abstract class ServedCall implements Placed, Watched, BackgroundCall {
  readonly call: Call;
  readonly values: ContextValues;
  protected readonly host: CallHost;
  readonly #headers: IncomingHttpHeaders;
  readonly #line: Line;
  #requestHeader: Headers | undefined;
  /** What the handler has set; undefined while it has not asked for it. */
  protected ownHeader: Headers | undefined;
  protected ownTrailer: Headers | undefined;
  #hasPlace = false;
  #isQueued = false;
  #hasBegun = false;
  hasArrived = false;

  constructor(call: Call, headers: IncomingHttpHeaders, { line }: Peer, host: CallHost) {
    this.call = call;
    this.values = contextValuesOf(call).set(servedCallKey, this);
    this.host = host;
    this.#headers = headers;
    this.#line = line;
  }

  /** As Connect names it. */
  abstract readonly protocolName: string;
  /** As handlers see it. What clients call the host says nothing. */
  abstract readonly url: string;
  abstract readonly httpMethod: string;

  abstract readonly writtenBytes: number;
  abstract readonly pendingBytes: number;
  /** Whether the answer is complete or its client has gone. */
  protected abstract readonly isOver: boolean;
  /** Reads the request as far as it is read before the call begins, and calls {@link arrive} then. */
  protected abstract read(): void;
  /** Answers the call. */
  protected abstract run(): Promise<void>;
  /** Answers with an error, or ends an answer that has begun with it. Called once, unless the answer is over. */
  protected abstract answerError(error: ConnectError): void;
  /** Ends the answer without another word. */
  protected abstract cutAnswer(): void;

  get requestHeader(): Headers {
    return (this.#requestHeader ??= toHeaders(this.#headers));
  }

  get responseHeader(): Headers {
    return (this.ownHeader ??= new Headers());
  }

  get responseTrailer(): Headers {
    return (this.ownTrailer ??= new Headers());
  }

  get deadlineAt(): number {
    return this.call.deadlineAt;
  }

  /** To be called once. The protocol calls {@link close} when the stream or the connection has closed. */
  start(): void {
    this.host.onCallStart(this.call);
    if (this.call.method.rule.isBackground === true) {
      this.host.background.add(this);
    } else if (this.#line.enter(this)) {
      this.#hasPlace = true;
    } else {
      this.#answerPrepared(this.host.overloaded);
      return;
    }
    this.host.watch.add(this);
    this.read();
  }

  begin(): void {
    if (this.isOver) {
      this.#line.done();
      return;
    }
    this.#hasBegun = true;
    if (performance.now() >= this.deadlineAt) {
      this.expire();
      return;
    }
    const refusal = this.host.gate(this.call);
    if (refusal === undefined) {
      this.run().catch((error: unknown) => this.fail(error));
    } else {
      this.#answerPrepared(refusal);
    }
  }

  makeWay(): void {
    this.#answerPrepared(this.host.overloaded);
  }

  expire(): void {
    this.call.expire();
    this.fail(this.call.cutBy);
  }

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

  /** The request is here, as far as it is read before the call begins: from now on the call waits for its turn. */
  protected arrive(): void {
    this.hasArrived = true;
    if (!this.#isQueued) {
      this.#isQueued = true;
      this.#line.push(this);
    }
  }

  /** Answers with what the caller is told of an error. */
  protected fail(error: unknown): void {
    if (!this.isOver) {
      const described = describeTo(this.call, error, this.host.logger);
      this.answerError(described);
      this.end(described.code);
    }
  }

  /** The answer has been handed over. Its place is free now: the stream closes when its client lets it. */
  protected end(code: Code | undefined): void {
    this.call.end(code);
    this.#leavePlace();
  }

  /** The stream or the connection has closed. */
  protected close(): void {
    this.host.watch.remove(this);
    this.host.background.delete(this);
    this.#leavePlace();
    if (this.#hasBegun) {
      this.#line.done();
    }
    this.call.cancel();
  }

  #answerPrepared(prepared: ConnectError): void {
    this.call.errorCode = prepared.code;
    if (!this.isOver) {
      this.answerError(prepared);
    }
    this.end(prepared.code);
  }

  #leavePlace(): void {
    if (this.#hasPlace) {
      this.#hasPlace = false;
      this.#line.leave(this);
    }
  }
}
