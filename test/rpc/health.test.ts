import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { Code, ConnectError, createClient, createHandlerContext, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { HealthCheckResponse } from "#gen/health/v1/health_pb.ts";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "#gen/health/v1/health_pb.ts";
import type { HealthService } from "../../src/rpc/health.ts";
import { createHealthService } from "../../src/rpc/health.ts";
import { errorOf } from "../support/error-of.ts";

const SERVICE = "test.v1.TestService";

interface Harness {
  readonly client: Client<typeof Health>;
  readonly health: HealthService;
}

function setUp(): Harness {
  const health = createHealthService([SERVICE]);
  health.setServing(true);
  const transport = createRouterTransport(({ service }) => service(Health, health.handlers));
  return { client: createClient(Health, transport), health };
}

interface Watching {
  readonly first: ServingStatus | undefined;
  readonly messages: AsyncIterator<HealthCheckResponse>;
}

/** A Watch that has reported its first status. */
async function watch({ client }: Harness, service: string): Promise<Watching> {
  const messages = client.watch({ service })[Symbol.asyncIterator]();
  return { first: await statusOf(messages.next()), messages };
}

async function statusOf(next: Promise<IteratorResult<HealthCheckResponse>>): Promise<ServingStatus | undefined> {
  const { done, value } = await next;
  return done === true ? undefined : value.status;
}

describe("Check", () => {
  test.each(["", SERVICE])('reports "%s" as SERVING', async (service) => {
    const { client } = setUp();

    const answer = await client.check({ service });

    expect(answer.status).toBe(ServingStatus.SERVING);
  });

  test("reports NOT_SERVING before the services have started", async () => {
    const { client, health } = setUp();
    health.setServing(false);

    const answer = await client.check({ service: SERVICE });

    expect(answer.status).toBe(ServingStatus.NOT_SERVING);
  });

  test("reports NOT_SERVING once the services have stopped", async () => {
    const { client, health } = setUp();
    health.stopServing();

    const answer = await client.check({ service: SERVICE });

    expect(answer.status).toBe(ServingStatus.NOT_SERVING);
  });

  test.each(["nobody.v1.Knows", "toString"])("answers NOT_FOUND for the unknown service %s", async (service) => {
    const { client } = setUp();

    const error = await errorOf(client.check({ service }));

    expect(error.code).toBe(Code.NotFound);
  });
});

describe("List", () => {
  test("names the server as a whole and every service", async () => {
    const { client } = setUp();

    const { statuses } = await client.list({});

    expect(statuses).toMatchObject({
      "": { status: ServingStatus.SERVING },
      [SERVICE]: { status: ServingStatus.SERVING },
    });
  });
});

describe("Watch", () => {
  test("reports SERVING, then NOT_SERVING, and ends when the services stop", async () => {
    const harness = setUp();
    const { first, messages } = await watch(harness, SERVICE);

    harness.health.stopServing();
    const second = await statusOf(messages.next());
    const error = await errorOf(messages.next());

    expect([first, second]).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    expect([error.code, error.rawMessage]).toEqual([Code.Unavailable, "the service is shutting down"]);
  });

  test("reports each change", async () => {
    const harness = setUp();
    const { first, messages } = await watch(harness, SERVICE);

    harness.health.setServing(false);
    const second = await statusOf(messages.next());
    harness.health.setServing(true);
    const third = await statusOf(messages.next());

    expect([first, second, third]).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING, ServingStatus.SERVING]);
  });

  test("ends after NOT_SERVING when it begins during a shutdown", async () => {
    const harness = setUp();
    harness.health.stopServing();

    const { first, messages } = await watch(harness, SERVICE);
    const error = await errorOf(messages.next());

    expect(first).toBe(ServingStatus.NOT_SERVING);
    expect(error.code).toBe(Code.Unavailable);
  });

  test("stays open for an unknown service until the services stop", async () => {
    const harness = setUp();
    const { first, messages } = await watch(harness, "nobody.v1.Knows");

    const next = errorOf(messages.next());
    harness.health.stopServing();

    expect(first).toBe(ServingStatus.SERVICE_UNKNOWN);
    expect((await next).code).toBe(Code.Unavailable);
  });

  test("ends when its caller leaves", async () => {
    const { handlers } = createHealthService([SERVICE]);
    const context = aContext();
    const messages = handlers.watch(create(HealthCheckRequestSchema), context)[Symbol.asyncIterator]();
    await messages.next();

    const next = errorOf(messages.next());
    context.abort(new ConnectError("the caller left", Code.Canceled));

    expect((await next).code).toBe(Code.Canceled);
  });

  test("leaves no listener behind", async () => {
    const { handlers, setServing, stopServing } = createHealthService([SERVICE]);
    setServing(true);
    const context = aContext();
    const listenersBefore = getEventListeners(context.signal, "abort");
    const messages = handlers.watch(create(HealthCheckRequestSchema), context)[Symbol.asyncIterator]();
    await messages.next();

    const next = messages.next();
    stopServing();
    await next;

    expect(getEventListeners(context.signal, "abort")).toEqual(listenersBefore);
  });
});

function aContext(): ReturnType<typeof createHandlerContext> {
  const method = Health.method.watch;
  return createHandlerContext({ service: Health, method, protocolName: "grpc", requestMethod: "POST", url: "" });
}
