import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { openDecoder } from "../../src/cli/decoder.ts";
import { serveVehicles } from "./serve-vehicles.ts";

const VINS = ["1XPWD40X1ED215307", "1XKWDB0X57J211825", "1G1ZT58N58F127985"];
const NEVER = new AbortController().signal;

/** Decodes the VINs with a service that answers one of each batch, and refuses the others with the given error. */
async function decode(vins: readonly string[], refusals: ConnectError[]) {
  const batches: string[][] = [];
  await using service = await serveVehicles(async function* ({ queries }) {
    batches.push(queries.map(({ vin }) => vin));
    for (const [index, { vin }] of queries.entries()) {
      const refusal = index === 0 ? undefined : refusals.shift();
      if (refusal !== undefined) {
        throw refusal;
      }
      yield { index, vin, result: { case: "vehicle" as const, value: { make: `make of ${vin}` } } };
    }
  });
  const tls = { ca: undefined, cert: undefined, key: undefined };
  await using decoder = await openDecoder({ address: service.address, token: undefined, tokenFile: undefined, tls });
  const answers = await decoder.decode(
    vins.map((vin) => ({ vin })),
    "basic",
    NEVER,
  );
  return { batches, answers: answers.map((answer) => ("vehicle" in answer ? answer.vehicle.make : answer.fault)) };
}

function refusal(code: Code, retryAfterNanos?: number): ConnectError {
  const error = new ConnectError("not now", code);
  if (retryAfterNanos !== undefined) {
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { nanos: retryAfterNanos } } });
  }
  return error;
}

test("the decoder waits for the rate limit any number of times, and asks for no VIN twice", async () => {
  const { batches, answers } = await decode(
    VINS,
    Array.from({ length: 2 }, () => refusal(Code.ResourceExhausted, 1_000)),
  );

  expect(answers).toEqual(VINS.map((vin) => `make of ${vin}`));
  expect(batches).toEqual([VINS, VINS.slice(1), VINS.slice(2)]);
});

test("a service that is unavailable for a moment is tried again", async () => {
  const { answers } = await decode(VINS, [refusal(Code.Unavailable, 1_000)]);

  expect(answers).toEqual(VINS.map((vin) => `make of ${vin}`));
});

test("a service that stays unavailable ends the command", async () => {
  const refusals = Array.from({ length: 20 }, () => refusal(Code.Unavailable, 1_000));
  const vins = Array.from({ length: 20 }, () => VINS).flat();

  await expect(decode(vins, refusals)).rejects.toThrow("not now");
  expect(refusals).toHaveLength(12);
});

test("a permanent error ends the command at once", async () => {
  await expect(decode(VINS, [refusal(Code.PermissionDenied)])).rejects.toThrow("not now");
});

test("malformed VINs are not sent", async () => {
  const { batches, answers } = await decode(["nonsense", ...VINS], []);

  expect(batches).toEqual([VINS]);
  expect(answers[0]).toMatch(/^vin: a VIN has 17 characters/);
});
