import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";

import type { AskedVin, VpicFacts } from "./fake-vpic-answers.ts";
import { toEnvelope, toEnvelopeOf2018, toRow } from "./fake-vpic-answers.ts";

interface Delayed {
  /** The delay in ms. Default: the fake's. */
  readonly delayMs?: number;
  /** The answer waits for this, and then for its delay. */
  readonly until?: Promise<unknown>;
}

/** How the fake vPIC treats one request. */
export type Behaviour = Delayed &
  (
    | { readonly kind: "answer" }
    /** The answer, compressed. */
    | { readonly kind: "gzip" }
    /** The answer, with a content encoding that the client did not ask for. */
    | { readonly kind: "brotli" }
    /** The answer as it looked in 2018. */
    | { readonly kind: "old-shape" }
    /** The rows in reverse order. */
    | { readonly kind: "reversed" }
    /** No rows for these VINs; without `vins`, none at all. */
    | { readonly kind: "missing-rows"; readonly vins?: readonly string[] }
    /** A row for this VIN instead of each requested one. */
    | { readonly kind: "wrong-vin"; readonly vin?: string }
    /** The connection is reset when the request has been read. */
    | { readonly kind: "reset" }
    /** Nothing is ever sent. */
    | { readonly kind: "silence" }
    /** The answer byte by byte, one each `intervalMs` (100). */
    | { readonly kind: "drip"; readonly intervalMs?: number }
    /** Half of the announced body, then the connection ends. */
    | { readonly kind: "cut" }
    /** Half of the JSON, with a matching length. */
    | { readonly kind: "cut-json" }
    /** HTML, with status 200 if no other is given. */
    | { readonly kind: "html"; readonly status?: number }
    | { readonly kind: "xml" }
    /** The answer, with the type of plain text. */
    | { readonly kind: "mislabelled" }
    | { readonly kind: "empty-body" }
    /** A body of this type and text, with status 200. */
    | { readonly kind: "body"; readonly contentType?: string; readonly text: string }
    /** The answer, padded with blanks to `bytes`. Default: 9 MiB, more than any answer has. */
    | { readonly kind: "huge"; readonly bytes?: number }
    | { readonly kind: "redirect"; readonly location: string }
    /** An error status, with vPIC's JSON for it. */
    | { readonly kind: "status"; readonly status: number; readonly retryAfter?: string }
  );

export interface AnswerContext {
  readonly asked: readonly AskedVin[];
  readonly delayMs: number;
  /** Whether the request did not ask for JSON where vPIC looks for it. */
  readonly isXml: boolean;
  readonly searchCriteria: string;
  readonly factsOf: (vin: string) => VpicFacts;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const JSON_TYPE = "application/json; charset=utf-8";
const HUGE_BYTES = 9 * 1024 * 1024;
const HTML = "<!DOCTYPE html><html><head><title>Access Denied</title></head><body>Reference #18.5e</body></html>";
const XML = '<?xml version="1.0" encoding="utf-8"?><Response><Count>1</Count><Results></Results></Response>';

/** Answers a request according to the behaviour, after its delay. */
export function answerWith(response: ServerResponse, behaviour: Behaviour, context: AnswerContext): void {
  if (behaviour.kind === "silence") {
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    timer = setTimeout(() => send(response, behaviour, context), context.delayMs);
  };
  response.once("close", () => clearTimeout(timer));
  if (behaviour.until === undefined) {
    start();
  } else {
    void behaviour.until.then(() => response.destroyed || start());
  }
}

function send(response: ServerResponse, behaviour: Behaviour, context: AnswerContext): void {
  if (behaviour.kind === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  const reply = toReply(behaviour, context);
  const bytes = behaviour.kind === "gzip" ? gzipSync(reply.body) : Buffer.from(reply.body);
  response.writeHead(reply.status, { ...reply.headers, "content-length": String(bytes.byteLength) });
  if (behaviour.kind === "drip") {
    drip(response, bytes, behaviour.intervalMs ?? 100);
  } else if (behaviour.kind === "cut") {
    response.write(bytes.subarray(0, bytes.byteLength / 2), () => response.destroy());
  } else {
    response.end(bytes);
  }
}

function drip(response: ServerResponse, bytes: Buffer, intervalMs: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(bytes.subarray(sent, sent + 1));
    sent += 1;
    if (sent >= bytes.byteLength) {
      clearInterval(timer);
      response.end();
    }
  }, intervalMs);
  response.once("close", () => clearInterval(timer));
}

function toReply(behaviour: Behaviour, context: AnswerContext): Reply {
  switch (behaviour.kind) {
    case "html":
      return { status: behaviour.status ?? 200, headers: { "content-type": "text/html" }, body: HTML };
    case "xml":
      return xml();
    case "empty-body":
      return json("");
    case "body":
      return { ...json(behaviour.text), headers: { "content-type": behaviour.contentType ?? JSON_TYPE } };
    case "huge":
      return json(JSON.stringify(toAnswer(behaviour, context)).padEnd(behaviour.bytes ?? HUGE_BYTES));
    case "redirect":
      return { status: 302, headers: { location: behaviour.location }, body: "" };
    case "status":
      return {
        status: behaviour.status,
        headers: {
          "content-type": JSON_TYPE,
          ...(behaviour.retryAfter === undefined ? {} : { "retry-after": behaviour.retryAfter }),
        },
        body: JSON.stringify({ message: "An error has occurred.", messageDetail: "" }),
      };
    case "cut-json": {
      const text = JSON.stringify(toAnswer(behaviour, context));
      return json(text.slice(0, text.length / 2));
    }
    case "mislabelled":
      return { ...toAnswerReply(behaviour, context), headers: { "content-type": "text/plain" } };
    case "gzip":
      return withEncoding(toAnswerReply(behaviour, context), "gzip");
    case "brotli":
      return withEncoding(toAnswerReply(behaviour, context), "br");
    case "answer":
    case "old-shape":
    case "reversed":
    case "missing-rows":
    case "wrong-vin":
    case "reset":
    case "silence":
    case "drip":
    case "cut":
      return toAnswerReply(behaviour, context);
    default:
      return behaviour satisfies never;
  }
}

function toAnswerReply(behaviour: Behaviour, context: AnswerContext): Reply {
  if (context.asked.length === 0) {
    return { ...json(JSON.stringify({ message: "No HTTP resource was found", messageDetail: "" })), status: 404 };
  }
  return context.isXml ? xml() : json(JSON.stringify(toAnswer(behaviour, context)));
}

function toAnswer(behaviour: Behaviour, { asked, searchCriteria, factsOf }: AnswerContext): object {
  const rows = asked.map((item) => toRow(item, factsOf(item.vin)));
  if (behaviour.kind === "old-shape") {
    return toEnvelopeOf2018(searchCriteria, rows);
  }
  if (behaviour.kind === "reversed") {
    return toEnvelope(searchCriteria, rows.toReversed());
  }
  if (behaviour.kind === "missing-rows") {
    const missing = behaviour.vins ?? asked.map(({ vin }) => vin);
    const left = rows.filter(({ VIN }) => VIN !== undefined && !missing.includes(VIN));
    return toEnvelope(searchCriteria, left);
  }
  if (behaviour.kind === "wrong-vin") {
    const vin = behaviour.vin ?? "5YJSA3DS0EF000001";
    const others = rows.map((row) => ({ ...row, VIN: vin, Make: "TESLA", Model: "Model S" }));
    return toEnvelope(searchCriteria, others);
  }
  return toEnvelope(searchCriteria, rows);
}

function withEncoding(reply: Reply, encoding: string): Reply {
  return { ...reply, headers: { ...reply.headers, "content-encoding": encoding } };
}

function json(body: string): Reply {
  return { status: 200, headers: { "content-type": JSON_TYPE }, body };
}

function xml(): Reply {
  return { status: 200, headers: { "content-type": "application/xml; charset=utf-8" }, body: XML };
}
