import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { afterAll, expect, test } from "vitest";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { clientOver } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startTestApp } from "../support/test-app.ts";
import { CACHED_VIN, CONNECT, WAYS } from "./ways.ts";

const INVALID_ARGUMENT: number = Code.InvalidArgument;
const COLD_VINS = ["1FUJGLDR9CSBM1234", "2NKHHM6X8FM123456", "3AKJHHDR5JSJK1234"];
const LOOKUP_QUERY = "/vehicle.v1.VehicleService/Lookup?connect=v1&encoding=json&message=";

const START = CACHED_VIN.slice(0, 16);
const ENDINGS = "/?#%&;=,\\'\"`<>|*+-_.:@!~^$(){}[]\u0000\u007F\u0085\u2028\u2029\u200B\u00A0\u0405\u{1F697}";
const LONG_ENDINGS = ["\r\n7", "\n7", "\u00007", "\u001B[2J"];
const BEGINNINGS = ["\u0000", "\uFEFF", "\u202E"];
const PATHS = ["", "..", "/../../etc/passwd", "../../../admin/xx", "%2e%2e%2f%2e%2e%2f", "1XPWD40X1ED2%2F.."];
const QUERIES = ["1XPWD40X1ED2?a=b#", "X?format=xml&vin=", "1XPWD40X1ED215;7,"];
const BATCHES = [`${CACHED_VIN};${CACHED_VIN}`, `${CACHED_VIN},2014`];
const LINES = ['1XPWD4\r\n{"forged":1}', "1X\r\nX-Forged: 1\r\n\r\n"];
const SQL = ["' OR '1'='1' -- a", "'; DROP TABLE vehicles;--", '1XPWD40X"; DELETE'];
const NAMES = ["__proto__", "constructor"];
const LETTERS = ["\u0410\u0412\u0421XPWD40X1ED2153", "I".repeat(17), "A".repeat(3000)];
/** Texts that are not VINs, and that do harm when put into a path, a query, a log or SQL without escaping. */
const HOSTILE_VINS: readonly string[] = [
  ...[...Array.from(ENDINGS), ...LONG_ENDINGS].map((ending) => `${START}${ending}`),
  ...BEGINNINGS.map((beginning) => `${beginning}${START}`),
  ...[PATHS, QUERIES, BATCHES, LINES, SQL, NAMES, LETTERS].flat(),
];

/**
 * Texts that would become VINs if they were upper-cased or normalised before they are checked: one for each character
 * beyond ASCII that turns into letters and digits of VINs, such as "ſ", "ß", "K" and "７".
 */
const LOOK_ALIKES = Array.from({ length: 0x1ff80 }, (_, index) => String.fromCodePoint(0x80 + index)).flatMap(
  (character) => {
    const texts = [character.toUpperCase(), character.normalize("NFKC").toUpperCase()];
    const folded = texts.find((text) => /^[A-HJ-NPR-Z0-9]+$/.test(text));
    return folded === undefined ? [] : [CACHED_VIN.slice(0, 17 - folded.length) + character];
  },
);

const DOORS = [
  ...WAYS.map((way) => ({ way, name: `${way.protocol} over HTTP/${way.http}`, isJson: false, usesGet: false })),
  { way: CONNECT, name: "Connect with JSON", isJson: true, usesGet: false },
  { way: CONNECT, name: "Connect with GET", isJson: false, usesGet: true },
];

const VIN = "[A-HJ-NPR-Z0-9]{17}";
/** The requests that vPIC may get. */
const TEMPLATES = [
  new RegExp(`^GET /api/vehicles/DecodeVinValues/${VIN}\\?format=json(&modelyear=\\d{4})? $`),
  new RegExp(`^POST /api/vehicles/DecodeVINValuesBatch/ format=json&data=${VIN}(%3B${VIN}(%2C\\d{4})?)*$`),
];

const written: string[] = [];
const log = createLogger("debug", { write: (line) => written.push(line) });
const app = await startTestApp({ env: { RATE_LIMIT_PER_SECOND: "1000000", RATE_LIMIT_BURST: "1000000" }, log });
afterAll(() => app[Symbol.asyncDispose]());

test.each(DOORS)("row 9: texts that are not VINs are refused over $name", async ({ way, isJson, usesGet }) => {
  const client = clientOver(way, { address: app.httpAddress, isJson, usesGet });
  const vins = [...HOSTILE_VINS, ...LOOK_ALIKES, CACHED_VIN, ...COLD_VINS];

  const errors: ConnectError[] = [];
  for (const vin of HOSTILE_VINS) {
    errors.push(await errorOf(client.lookup({ vin })), await errorOf(client.remove({ vin })));
  }
  const batch = await Array.fromAsync(client.batchLookup({ vins }));

  expect(errors.filter((error) => !blamesVin(error))).toEqual([]);
  const refused = batch.filter(
    ({ index, result: { case: kind, value } }) =>
      kind === "error" && value.code === INVALID_ARGUMENT && value.message.startsWith(`vins[${index}]: `),
  );
  expect(refused).toHaveLength(HOSTILE_VINS.length + LOOK_ALIKES.length);
  expect(batch.filter(({ result }) => result.case === "vehicle")).toHaveLength(1 + COLD_VINS.length);
});

test("row 9: texts that are not VINs are refused in hand-written queries, escaped and not", async () => {
  const queries = HOSTILE_VINS.flatMap((vin) => {
    const message = JSON.stringify({ vin });
    return [encodeURIComponent(message), message.replaceAll(/[\s#%&]/g, encodeURIComponent)];
  });

  const answers = await Promise.all(
    queries.map(async (query) => {
      const response = await fetch(`http://${app.httpAddress}${LOOKUP_QUERY}${query}`);
      return { query, status: response.status, text: await response.text() };
    }),
  );

  expect(answers.filter(({ status, text }) => status !== 400 || !text.includes('"invalid_argument"'))).toEqual([]);
});

test("row 9: texts that are not VINs reach neither vPIC nor the log", () => {
  const output = written.join("");
  // Texts that are also parts of other values prove nothing.
  const texts = [...HOSTILE_VINS, ...LOOK_ALIKES].filter((vin) => vin.length > 10 && !CACHED_VIN.includes(vin));

  expect(app.vpic.requests.length).toBeGreaterThan(0);
  const requests = app.vpic.requests.map(({ method, path, body }) => `${method} ${path} ${body}`);
  expect(requests.filter((request) => !TEMPLATES.some((template) => template.test(request)))).toEqual([]);
  expect(written.length).toBeGreaterThan(HOSTILE_VINS.length);
  expect(texts.filter((vin) => output.includes(JSON.stringify(vin).slice(1, -1)))).toEqual([]);
  expect(written.every((line) => /^[ -~]+\n$/.test(line))).toBe(true);
});

function blamesVin(error: ConnectError): boolean {
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return error.code === Code.InvalidArgument && fields.some(({ field }) => field === "vin");
}
