import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { createVehicleClient } from "../../src/client/create-vehicle-client.ts";
import type { VehicleHandlers } from "../support/serve.ts";
import { serve } from "../support/serve.ts";

const VIN = "1XPWD40X1ED215307";

/** An error that asks the client to retry after 1 ms. */
function refusal(): ConnectError {
  const error = new ConnectError("not now", Code.ResourceExhausted);
  error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { nanos: 1_000_000 } } });
  return error;
}

/** Handlers that refuse the first calls with these errors, and record the token of each call. */
function handlersWith(refusals: ConnectError[]): { handlers: VehicleHandlers; tokens: (string | null)[] } {
  const tokens: (string | null)[] = [];
  const begin = (header: Headers): void => {
    tokens.push(header.get("authorization"));
    const refused = refusals.shift();
    if (refused !== undefined) {
      throw refused;
    }
  };
  return {
    tokens,
    handlers: {
      lookup({ vin }, { requestHeader }) {
        begin(requestHeader);
        return { vin, make: "PETERBILT" };
      },
      async *batchLookup({ vins }, { requestHeader }) {
        begin(requestHeader);
        for (const [index, vin] of vins.entries()) {
          yield { index, vin, result: { case: "vehicle" as const, value: { vin } } };
        }
      },
    },
  };
}

test("a Lookup that is refused temporarily is repeated, with the token", async () => {
  const { handlers, tokens } = handlersWith([refusal(), new ConnectError("restarting", Code.Unavailable)]);
  await using served = await serve({ handlers });
  const client = createVehicleClient({ baseUrl: `http://${served.address}`, token: "secret" });

  const { make } = await client.lookup({ vin: VIN });

  expect(make).toBe("PETERBILT");
  expect(tokens).toEqual(["Bearer secret", "Bearer secret", "Bearer secret"]);
});

test("a batch that is refused temporarily is repeated with all of its VINs", async () => {
  const { handlers } = handlersWith([refusal()]);
  await using served = await serve({ handlers });
  const client = createVehicleClient({ baseUrl: `http://${served.address}` });

  const answers = await Array.fromAsync(client.batchLookup({ vins: [VIN, VIN] }));

  expect(answers.map(({ index, vin }) => [index, vin])).toEqual([
    [0, VIN],
    [1, VIN],
  ]);
});

test("a batch that fails after its first message is not repeated", async () => {
  let calls = 0;
  await using served = await serve({
    handlers: {
      async *batchLookup() {
        calls++;
        yield { index: 0 };
        throw refusal();
      },
    },
  });
  const client = createVehicleClient({ baseUrl: `http://${served.address}` });

  await expect(Array.fromAsync(client.batchLookup({ vins: [VIN] }))).rejects.toThrow("not now");
  expect(calls).toBe(1);
});

test("a call is attempted at most four times", async () => {
  const { handlers, tokens } = handlersWith(Array.from({ length: 9 }, refusal));
  await using served = await serve({ handlers });
  const client = createVehicleClient({ baseUrl: `http://${served.address}` });

  await expect(client.lookup({ vin: VIN })).rejects.toMatchObject({ code: Code.ResourceExhausted });
  expect(tokens).toHaveLength(4);
});

test("a call that would fail again is not repeated", async () => {
  const { handlers, tokens } = handlersWith([new ConnectError("unknown VIN", Code.NotFound)]);
  await using served = await serve({ handlers });
  const client = createVehicleClient({ baseUrl: `http://${served.address}` });

  await expect(client.lookup({ vin: VIN })).rejects.toMatchObject({ code: Code.NotFound });
  expect(tokens).toEqual([null]);
});

test("a call that waits for its next attempt ends at its deadline", async () => {
  const tomorrow = new ConnectError("not today", Code.Unavailable);
  tomorrow.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: 86_400n } } });
  const { handlers } = handlersWith([tomorrow]);
  await using served = await serve({ handlers });
  const client = createVehicleClient({ baseUrl: `http://${served.address}`, timeoutMs: 500 });

  await expect(client.lookup({ vin: VIN })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
});
