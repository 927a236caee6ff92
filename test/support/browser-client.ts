import { base64Encode } from "@bufbuild/protobuf/wire";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { callOverTransport } from "../service/clients/call-over-transport.ts";
import type { MethodName } from "../service/clients/client.ts";

const CREATE_TRANSPORT = { Connect: createConnectTransport, "gRPC-Web": createGrpcWebTransport };

/** A call, in a form that can be sent to a browser. */
export interface BrowserCall {
  /** The name to cancel it by. */
  readonly id: number;
  readonly baseUrl: string;
  readonly protocol: keyof typeof CREATE_TRANSPORT;
  readonly method: MethodName;
  readonly request: JsonObject;
  readonly timeoutMs?: number | undefined;
}

/** The outcome of a call. */
export type BrowserOutcome =
  | { readonly messages: JsonValue[] }
  | {
      readonly code: Code;
      readonly message: string;
      /** The value in base64. */
      readonly details: readonly { readonly type: string; readonly value: string }[];
    };

const running = new Map<number, AbortController>();

/** Makes a call, in the browser. */
export async function call({
  id,
  baseUrl,
  protocol,
  method,
  request,
  timeoutMs,
}: BrowserCall): Promise<BrowserOutcome> {
  const controller = new AbortController();
  running.set(id, controller);
  const transport = CREATE_TRANSPORT[protocol]({ baseUrl });
  try {
    return { messages: await callOverTransport(transport, method, request, { timeoutMs, signal: controller.signal }) };
  } catch (error) {
    const { code, rawMessage, details } = ConnectError.from(error);
    return { code, message: rawMessage, details: details.flatMap(toWords) };
  } finally {
    running.delete(id);
  }
}

/** Cancels a call. */
export function cancel(id: number): void {
  running.get(id)?.abort();
}

function toWords(detail: ConnectError["details"][number]): { type: string; value: string }[] {
  return "type" in detail ? [{ type: detail.type, value: base64Encode(detail.value) }] : [];
}
