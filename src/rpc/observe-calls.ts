import { Code } from "@connectrpc/connect";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { Call, Protocol } from "./call.ts";
import type { ServedMethod } from "./methods.ts";
import type { AuditLogger, LogFields } from "../telemetry/logger.ts";
import type { CallLabels } from "../telemetry/call-metrics.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** The values of `grpc_type`. */
const TYPES: Readonly<Record<MethodImplSpec["kind"], string>> = {
  unary: "unary",
  server_streaming: "server_stream",
  client_streaming: "client_stream",
  bidi_streaming: "bidi_stream",
};

/** Codes of calls that failed because of the service. */
const OWN_FAULTS: ReadonlySet<Code | undefined> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/**
 * Counts every RPC and logs its end: at `info` when it failed because of the service or was slow, otherwise at `debug`.
 * Plain requests are only logged.
 *
 * @param slowMs how long a call may take before it counts as slow. Streams and background calls may take any time.
 */
export function observeCalls(
  metrics: Pick<Metrics, "callStarted" | "callEnded">,
  logger: Pick<AuditLogger, "debug" | "info" | "isDebug">,
  slowMs: number,
): { readonly onCallStart: (call: Call) => void; readonly onCallEnd: (call: Call) => void } {
  const labels = new Map<ServedMethod, Map<Protocol, CallLabels>>();
  const labelsOf = ({ method, protocol }: Call): CallLabels => {
    let ofMethod = labels.get(method);
    if (ofMethod === undefined) {
      ofMethod = new Map();
      labels.set(method, ofMethod);
    }
    let found = ofMethod.get(protocol);
    if (found === undefined) {
      found = toLabels(method, protocol);
      ofMethod.set(protocol, found);
    }
    return found;
  };
  return {
    onCallStart(call) {
      if (call.protocol !== "http") {
        metrics.callStarted(labelsOf(call));
      }
    },
    onCallEnd(call) {
      const { code } = call;
      const durationMs = call.elapsedMs();
      if (call.protocol !== "http") {
        const sentMessages = isUnary(call) ? Number(code === undefined) : call.givenMessages;
        metrics.callEnded(labelsOf(call), code === undefined ? "OK" : Code[code], durationMs / 1_000, sentMessages);
      }
      const isFault = OWN_FAULTS.has(code) && call.method.rule.isBackground !== true;
      const isSlow = durationMs >= slowMs && isUnary(call);
      if (isFault || isSlow) {
        logger.info(isFault ? "call failed" : "call was slow", fieldsOf(call, durationMs));
      } else if (logger.isDebug) {
        logger.debug("call ended", fieldsOf(call, durationMs));
      }
    },
  };
}

function isUnary({ method }: Call): boolean {
  return method.spec.kind === "unary";
}

/** Times are in ms: how long the call waited for each part. Parts that it did not use are absent. */
function fieldsOf(call: Call, durationMs: number): LogFields {
  const { code, lookup } = call;
  return {
    procedure: call.procedure,
    protocol: call.protocol,
    requestId: call.id,
    caller: call.caller?.name ?? call.address,
    code: code === undefined ? "ok" : Code[code],
    durationMs,
    queueMs: call.begunAt === undefined ? durationMs : call.begunAt - call.startedAt,
    ...(lookup && {
      vin: lookup.vin,
      source: lookup.result?.vehicle.source,
      cached: lookup.result?.cached,
      cacheMs: lookup.waitedMs.cache,
      vpicMs: lookup.waitedMs.vpic,
      snapshotMs: lookup.waitedMs.snapshot,
    }),
  };
}

function toLabels({ spec }: ServedMethod, protocol: Protocol): CallLabels {
  return {
    type: TYPES[spec.kind],
    service: spec.method.parent.typeName,
    method: spec.method.name,
    protocol,
  };
}
