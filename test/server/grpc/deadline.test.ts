import { Code, ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { EchoClient } from "../../support/echo-client.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { type EchoHandlers, startEchoGrpc } from "../../support/echo-server.ts";

const { lookup, batchLookup } = VehicleService.method;

/** How late an answer may come after its deadline, in ms. */
const slackMs = 100;

/** Handlers that keep their context and never answer. */
function hanging(): { handlers: EchoHandlers; context: Promise<HandlerContext> } {
  const { promise, resolve } = Promise.withResolvers<HandlerContext>();
  const handlers: EchoHandlers = {
    lookup: async (_request, context) => {
      resolve(context);
      return await new Promise(() => {});
    },
    async *batchLookup(_request, context) {
      resolve(context);
      yield {};
      await new Promise(() => {});
    },
  };
  return { handlers, context: promise };
}

const untilAborted = async (signal: AbortSignal): Promise<unknown> =>
  await new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      resolve(signal.reason);
    });
  });

/** An interceptor that never ends a call. */
const stuck: Interceptor = (next) => async (request) => {
  await next(request).catch(() => {});
  return await new Promise(() => {});
};

describe("the deadline of a mounted call", () => {
  test("is the client's, as the handler's time left and its signal", async () => {
    const { handlers, context } = hanging();
    await using server = await startEchoGrpc(handlers);
    using client = new EchoClient(server.address);
    const call = client.unary(lookup, {}, { deadline: Date.now() + 300 });

    const { signal, timeoutMs } = await context;
    const leftMs = timeoutMs() ?? Number.NaN;
    const reason = await untilAborted(signal);

    expect(leftMs).toBeGreaterThan(100);
    expect(leftMs).toBeLessThanOrEqual(300);
    // At the same moment the client ends the call by itself: whichever is seen first.
    expect([Code.DeadlineExceeded, Code.Canceled]).toContain(ConnectError.from(reason).code);
    expect((await call).status.code).toBe(status.DEADLINE_EXCEEDED);
  });

  test("is the default when the client gives none", async () => {
    const { handlers, context } = hanging();
    await using server = await startEchoGrpc(handlers);
    using client = new EchoClient(server.address);
    void client.unary(lookup, {});

    const { timeoutMs } = await context;

    expect(timeoutMs()).toBeGreaterThan(9000);
    expect(timeoutMs()).toBeLessThanOrEqual(10_000);
  });

  test("is cut to the ceiling when the client's is longer", async () => {
    const { handlers, context } = hanging();
    await using server = await startEchoGrpc(handlers);
    using client = new EchoClient(server.address);
    void client.unary(lookup, {}, { deadline: Date.now() + 3_600_000 });

    const { timeoutMs } = await context;

    expect(timeoutMs()).toBeGreaterThan(29_000);
    expect(timeoutMs()).toBeLessThanOrEqual(30_000);
  });

  test("has its default and ceiling by method", async () => {
    const { handlers, context } = hanging();
    const limits = { methods: { "vehicle.v1.VehicleService/Lookup": { defaultTimeoutMs: 300_000 } } };
    await using server = await startEchoGrpc(handlers, { limits });
    using client = new EchoClient(server.address);
    void client.unary(lookup, {});

    const { timeoutMs } = await context;

    expect(timeoutMs()).toBeGreaterThan(299_000);
  });

  for (const [what, limits, deadlineMs] of [
    ["the default", { defaults: { defaultTimeoutMs: 200 } }, undefined],
    ["the ceiling", { defaults: { maxTimeoutMs: 200 } }, 60_000],
    ["the client's own", {}, 200],
  ] as const) {
    const options = (): { deadline: number } | object =>
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };

    test(`ends a unary call at ${what}, whatever the handler does`, async () => {
      await using server = await startEchoGrpc(hanging().handlers, { limits });
      using client = new EchoClient(server.address);
      const startedAt = Date.now();

      const seen = await client.unary(lookup, {}, options());

      expect(seen.status.code).toBe(status.DEADLINE_EXCEEDED);
      expect(Date.now() - startedAt).toBeLessThan(200 + slackMs);
    });

    test(`ends a stream at ${what}, whatever the handler does`, async () => {
      await using server = await startEchoGrpc(hanging().handlers, { limits });
      using client = new EchoClient(server.address);
      const startedAt = Date.now();

      const seen = await client.stream(batchLookup, {}, options());

      expect(seen.status.code).toBe(status.DEADLINE_EXCEEDED);
      expect(Date.now() - startedAt).toBeLessThan(200 + slackMs);
    });
  }

  test("is told to the caller even if an interceptor hangs", async () => {
    await using server = await startEchoGrpc(hanging().handlers, {
      limits: { defaults: { defaultTimeoutMs: 100 } },
      interceptors: [stuck],
    });
    using client = new EchoClient(server.address);
    const startedAt = Date.now();

    const seen = await client.unary(lookup, {});

    expect(seen.status.code).toBe(status.DEADLINE_EXCEEDED);
    expect(Date.now() - startedAt).toBeLessThan(100 + slackMs);
  });

  test("is seen by interceptors as an error of the call", async () => {
    const codes: unknown[] = [];
    const note: Interceptor = (next) => async (request) => {
      try {
        return await next(request);
      } catch (error) {
        codes.push(error);
        throw error;
      }
    };
    await using server = await startEchoGrpc(hanging().handlers, {
      limits: { defaults: { defaultTimeoutMs: 100 } },
      interceptors: [note],
    });
    using client = new EchoClient(server.address);

    await client.unary(lookup, {});

    expect(codes).toMatchObject([{ code: Code.DeadlineExceeded }]);
  });
});

describe("a mounted call's signal", () => {
  test("is aborted when the client cancels", async () => {
    const { handlers, context } = hanging();
    await using server = await startEchoGrpc(handlers);
    using client = new EchoClient(server.address);
    const stream = client.open(batchLookup, {});
    const { signal } = await context;
    const aborted = untilAborted(signal);

    stream.cancel();

    await expect(aborted).resolves.toMatchObject({ code: Code.Canceled });
  });

  test("is aborted when the client's connection breaks", async () => {
    const { handlers, context } = hanging();
    await using server = await startEchoGrpc(handlers);
    using client = new EchoHttp2(server.address);
    client.open("/vehicle.v1.VehicleService/Lookup").end(frame());
    const { signal } = await context;
    const aborted = untilAborted(signal);

    client.session.destroy();

    await expect(aborted).resolves.toMatchObject({ code: Code.Canceled });
  });

  test("is aborted at the end of a call, as Connect does it", async () => {
    let signal = new AbortController().signal;
    await using server = await startEchoGrpc({
      lookup: (_request, context) => {
        ({ signal } = context);
        return {};
      },
    });
    using client = new EchoClient(server.address);

    await client.unary(lookup, {});

    expect(signal.aborted).toBe(true);
  });
});
