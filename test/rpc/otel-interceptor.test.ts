import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import type { Interceptor } from "@connectrpc/connect";
import { SpanStatusCode } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { toConnectInterceptor } from "../support/with-calls.ts";
import { createOtelInterceptor } from "../../src/rpc/otel-interceptor.ts";
import { errorOf } from "../support/error-of.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const CALLER = { headers: { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` } };
const UNSAMPLED = { headers: { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` } };

/** A plain Connect server with the interceptor: it echoes VINs, and each batch fails after two of them. */
function setUp(beginsTrace?: () => boolean) {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const options = {
    tracer: provider.getTracer("test"),
    propagator: new W3CTraceContextPropagator(),
    ...(beginsTrace && { beginsTrace }),
  };
  const interceptors: Interceptor[] = [toConnectInterceptor(createOtelInterceptor(options))];
  const transport = createRouterTransport(
    ({ service }) =>
      service(VehicleService, {
        lookup({ vin }) {
          if (vin === "") {
            throw new ConnectError("no VIN", Code.InvalidArgument);
          }
          return { vin };
        },
        async *batchLookup() {
          yield { index: 0 };
          yield { index: 1 };
          throw new ConnectError("the source is gone", Code.Unavailable);
        },
        async *export() {
          yield {};
        },
      }),
    { router: { interceptors } },
  );
  const spans = (): object[] =>
    exporter.getFinishedSpans().map(({ name, attributes, status, parentSpanContext }) => ({
      name: name.split("/")[1],
      status: attributes["rpc.status_code"],
      error: attributes["error.type"],
      fault: status.code === SpanStatusCode.ERROR ? status.message : undefined,
      parent: parentSpanContext?.spanId,
      trace: parentSpanContext?.traceId,
    }));
  return { client: createClient(VehicleService, transport), spans };
}

test("a call of any Connect server has one span, under that of its caller", async () => {
  const { client, spans } = setUp();

  await client.lookup({ vin: "x" }, CALLER);
  await errorOf(client.lookup({}));
  await Array.fromAsync(client.export({}));

  const ok = { status: undefined, error: undefined, fault: undefined };
  expect(spans()).toEqual([
    { name: "Lookup", ...ok, parent: SPAN_ID, trace: TRACE_ID },
    { name: "Lookup", ...ok, status: "invalid_argument" },
    { name: "Export", ...ok },
  ]);
});

test("a stream that fails has its error, and one whose reader leaves is canceled", async () => {
  const { client, spans } = setUp();

  await errorOf(Array.fromAsync(client.batchLookup({})));
  for await (const _ of client.batchLookup({})) {
    break;
  }

  await expect.poll(spans).toMatchObject([
    { name: "BatchLookup", status: "unavailable", error: "unavailable", fault: "the source is gone" },
    { name: "BatchLookup", status: "canceled", error: undefined, fault: undefined },
  ]);
});

test("a call without a caller's trace may be left out", async () => {
  const { client, spans } = setUp(() => false);

  await client.lookup({ vin: "x" });
  await client.lookup({ vin: "x" }, { headers: { traceparent: "nonsense" } });
  await client.lookup({ vin: "x" }, CALLER);

  expect(spans()).toMatchObject([{ trace: TRACE_ID }]);
});

test("a trace that its caller does not sample is not recorded", async () => {
  const { client, spans } = setUp();

  await client.lookup({ vin: "x" }, UNSAMPLED);
  await client.lookup({ vin: "x" }, CALLER);

  expect(spans()).toHaveLength(1);
});
