import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { text as readText } from "node:stream/consumers";

import type { AskedVin, VpicFacts } from "./fake-vpic-answers.ts";
import type { Behaviour } from "./fake-vpic-behaviour.ts";
import { answerWith } from "./fake-vpic-behaviour.ts";
import { stamp } from "./stamp.ts";

/** A complete request that the fake received. */
export interface ReceivedRequest {
  /** From 1, in the order of arrival. */
  readonly number: number;
  readonly method: string;
  /** With the query, as received. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly vins: readonly string[];
  readonly asked: readonly AskedVin[];
  /** Identifies the connection. */
  readonly clientPort: number | undefined;
  /** When it arrived, in ms since the epoch. */
  readonly receivedAt: number;
  /** When it was answered, in ms since the epoch. Undefined until then, and when its client left before. */
  answeredAt: number | undefined;
}

/** Returns how to treat a request. Undefined means that it is answered. */
export type Script = (request: ReceivedRequest) => Behaviour | undefined;

export interface FakeVpicOptions {
  /** How long an answer takes, in ms. Default: 0. */
  readonly delayMs?: number;
  /** See {@link FakeVpic.respondWith}. */
  readonly respondWith?: Script | Behaviour;
  /** Facts by VIN, which override those of a plain clean decode. */
  readonly facts?: Readonly<Record<string, VpicFacts>>;
}

/** The VIN of the probe that a service sends by itself. Tests do not count these requests. */
const OWN_QUESTION = "5YJSA1DG9DFP14705";

const SINGLE = /^\/api\/vehicles\/DecodeVinValues\/([^/?]+)\?(.*)$/i;
const BATCH = /^\/api\/vehicles\/DecodeVINValuesBatch\/?(?:\?|$)/i;

/** A vPIC of our own on loopback, with the real shapes, every fault, and a record of the requests. */
export class FakeVpic implements AsyncDisposable {
  /** Every request so far, in the order of arrival. */
  readonly requests: ReceivedRequest[] = [];
  /** How long an answer takes, in ms. */
  delayMs: number;
  readonly #facts: Map<string, VpicFacts>;
  readonly #awaited = new Map<string, () => void>();
  #script: Script;
  #server: Server;
  #port = 0;

  constructor(options: FakeVpicOptions) {
    this.delayMs = options.delayMs ?? 0;
    this.#facts = new Map(Object.entries(options.facts ?? {}));
    this.#script = toScript(options.respondWith);
    this.#server = this.#createServer();
  }

  /** The address for `VPIC_URL`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/api`;
  }

  /** All VINs requested so far, including repetitions. */
  get vins(): readonly string[] {
    return this.requests.flatMap(({ vins }) => vins);
  }

  /** Sets how to treat further requests. Without an argument, they are answered. */
  respondWith(script?: Script | Behaviour): void {
    this.#script = toScript(script);
  }

  /** Sets what is known about a VIN from now on. */
  setFacts(vin: string, facts: VpicFacts): void {
    this.#facts.set(vin, facts);
  }

  /** Resolves when a VIN is requested next. */
  whenAsked(vin: string): Promise<void> {
    return new Promise((resolve) => this.#awaited.set(vin, resolve));
  }

  /** Starts to listen, on the port that was used before if there was one. */
  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#server.once("error", reject);
    this.#server.listen(this.#port, "127.0.0.1", () => resolve(undefined));
    await promise;
    const address = this.#server.address();
    this.#port = typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Breaks all connections and refuses new ones, until `listen` is called again. */
  async refuse(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#server.close(() => resolve(undefined));
    this.#server.closeAllConnections();
    await promise;
    this.#server = this.#createServer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }

  #createServer(): Server {
    return createServer((request, response) => {
      // A client may leave in the middle of its request.
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const receivedAt = stamp();
    const body = await readText(request);
    const path = request.url ?? "";
    const method = request.method ?? "";
    const asked = readAsked(method, path, body);
    const received: ReceivedRequest = {
      number: this.requests.length + 1,
      method,
      path,
      headers: request.headers,
      body,
      vins: asked.map(({ vin }) => vin),
      asked,
      clientPort: request.socket.remotePort,
      receivedAt,
      answeredAt: undefined,
    };
    response.once("finish", () => {
      received.answeredAt = stamp();
    });
    if (!asked.some(({ vin }) => vin === OWN_QUESTION)) {
      this.requests.push(received);
    }
    received.vins.forEach((vin) => this.#awaited.get(vin)?.());
    const behaviour = this.#script(received) ?? { kind: "answer" };
    answerWith(response, behaviour, {
      asked,
      delayMs: behaviour.delayMs ?? this.delayMs,
      isXml: method === "POST" && !/(?:^|&)format=json(?:&|$)/.test(body),
      searchCriteria: method === "POST" ? "" : `VIN(s): ${asked[0]?.vin ?? ""}`,
      factsOf: (vin) => this.#facts.get(vin) ?? {},
    });
  }
}

/** Starts a vPIC on a free port of loopback. */
export async function startFakeVpic(options: FakeVpicOptions = {}): Promise<FakeVpic> {
  const fake = new FakeVpic(options);
  await fake.listen();
  return fake;
}

function toScript(script: Script | Behaviour | undefined): Script {
  return typeof script === "function" ? script : () => script;
}

/** The VINs of a request; none when vPIC has no such endpoint. */
function readAsked(method: string, path: string, body: string): readonly AskedVin[] {
  const single = SINGLE.exec(path);
  if (method === "GET" && single !== null) {
    const modelYear = new URLSearchParams(single[2]).get("modelyear") ?? undefined;
    return [{ vin: decodeURIComponent(single[1] ?? ""), modelYear }];
  }
  if (method === "POST" && BATCH.test(path)) {
    const items = (new URLSearchParams(body).get("data") ?? "").split(";").filter((item) => item.trim() !== "");
    return items.map((item) => {
      const [vin = "", modelYear] = item.split(",").map((part) => part.trim());
      return { vin, modelYear };
    });
  }
  return [];
}
