import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { portOf } from "./port-of.ts";

type Attributes = Readonly<Record<string, unknown>>;

/** A span, with the name of its parent. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  /** The name of the parent, or its id when it is a span of another process; empty when there is none. */
  readonly parent: string;
  readonly kind: "internal" | "server" | "client";
  readonly attributes: Attributes;
  /** The message of a failed span. */
  readonly fault: string | undefined;
  readonly startedNs: bigint;
  readonly endedNs: bigint;
}

interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly { readonly attributes: Attributes; readonly value: number }[];
}

/** A collector of our own on loopback: receives traces and metrics over OTLP, as JSON over HTTP. */
export class OtlpReceiver implements AsyncDisposable {
  readonly #server = createServer();
  readonly #spans: OtlpSpan[] = [];
  /** The attributes of what sent the data. */
  resource: Attributes = {};
  metrics: readonly ReceivedMetric[] = [];
  url = "";

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    const server = receiver.#server;
    server.on("request", (request, response) => {
      receiver.#receive(request, response).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    receiver.url = `http://127.0.0.1:${portOf(server)}`;
    return receiver;
  }

  get spans(): ReceivedSpan[] {
    const names = new Map(this.#spans.map(({ spanId, name }) => [spanId, name]));
    return this.#spans.map((span) => ({
      name: span.name,
      traceId: span.traceId,
      parent: names.get(span.parentSpanId ?? "") ?? span.parentSpanId ?? "",
      kind: KINDS[span.kind] ?? "internal",
      attributes: toAttributes(span.attributes),
      fault: span.status.code === FAILED ? (span.status.message ?? "") : undefined,
      startedNs: BigInt(span.startTimeUnixNano),
      endedNs: BigInt(span.endTimeUnixNano),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#take(JSON.parse(await text(request)));
    response.setHeader("content-type", "application/json").end("{}");
  }

  #take({ resourceSpans = [], resourceMetrics = [] }: OtlpBody): void {
    for (const { resource, scopeSpans = [], scopeMetrics = [] } of [...resourceSpans, ...resourceMetrics]) {
      this.resource = toAttributes(resource.attributes);
      this.#spans.push(...scopeSpans.flatMap(({ spans }) => spans));
      if (scopeMetrics.length > 0) {
        this.metrics = scopeMetrics.flatMap(({ metrics }) => metrics.map(toMetric));
      }
    }
  }
}

const KINDS: Readonly<Record<number, ReceivedSpan["kind"]>> = { 1: "internal", 2: "server", 3: "client" };
const FAILED = 2;

interface OtlpBody {
  readonly resourceSpans?: readonly OtlpResource[];
  readonly resourceMetrics?: readonly OtlpResource[];
}

interface OtlpResource {
  readonly resource: { readonly attributes: readonly OtlpAttribute[] };
  readonly scopeSpans?: readonly { readonly spans: readonly OtlpSpan[] }[];
  readonly scopeMetrics?: readonly { readonly metrics: readonly OtlpMetric[] }[];
}

interface OtlpSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly status: { readonly code: number; readonly message?: string };
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface OtlpPoint {
  readonly attributes: readonly OtlpAttribute[];
  readonly asDouble?: number;
  readonly asInt?: number;
  readonly count?: number;
}

interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly dataPoints: readonly OtlpPoint[] };
  readonly gauge?: { readonly dataPoints: readonly OtlpPoint[] };
  readonly histogram?: { readonly dataPoints: readonly OtlpPoint[] };
}

function toAttributes(attributes: readonly OtlpAttribute[]): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

function toMetric({ name, unit, sum, gauge, histogram }: OtlpMetric): ReceivedMetric {
  const points = (sum ?? gauge ?? histogram)?.dataPoints ?? [];
  return {
    name,
    unit,
    points: points.map(({ attributes, asDouble, asInt, count }) => ({
      attributes: toAttributes(attributes),
      value: Number(asDouble ?? asInt ?? count),
    })),
  };
}
