import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DecodeVinValues, DecodeVinValuesBatch } from "@shaggytools/nhtsa-api-wrapper";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeToken } from "../../src/cli/make-token.ts";
import { VPIC_ELEMENTS } from "../../src/facade/vpic-elements.ts";
import { VPIC_VARIABLES } from "../../src/vehicle/vpic-variables.ts";
import { manyVins } from "../support/real-vins.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const VIN = "1XPWD40X1ED215307";

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function start(options: TestAppOptions = {}): Promise<TestApp> {
  return stack.use(await startTestApp(options));
}

async function get(base: string, path: string, init?: RequestInit) {
  const response = await fetch(`${base}/vehicles/${path}`, init);
  return { status: response.status, headers: response.headers, body: await response.text() };
}

function baseOf({ httpAddress }: TestApp): string {
  return `http://${httpAddress}/api`;
}

interface Envelope {
  readonly Count: number;
  readonly Message: string;
  readonly SearchCriteria: string;
  readonly Results: readonly Record<string, string>[];
}

function parse(body: string): Envelope {
  return JSON.parse(body);
}

describe("GET /api/vehicles/DecodeVinValues", () => {
  test("answers as vPIC does, with every variable in its order", async () => {
    const app = await start();

    const ours = await get(baseOf(app), `DecodeVinValues/${VIN}?format=json`);
    const theirs = await get(app.vpic.url, `DecodeVinValues/${VIN}?format=json`);

    const [envelope, expected] = [parse(ours.body), parse(theirs.body)];
    expect({ ...envelope, Results: [] }).toEqual({ ...expected, Results: [] });
    expect(Object.keys(envelope)).toEqual(Object.keys(expected));
    expect(Object.keys(envelope.Results[0] ?? {})).toEqual(VPIC_VARIABLES);
    // vPIC pads some values, and writes "Not Applicable" for values that only other kinds of vehicles have.
    const known = Object.entries(expected.Results[0] ?? {}).map(([name, value]) => [
      name,
      value.replace(/^Not Applicable$/, "").trim(),
    ]);
    expect(envelope.Results[0]).toMatchObject(Object.fromEntries(known));
  });

  test("names the source of the answer in a header", async () => {
    const app = await start();
    const path = `DecodeVinValuesExtended/${VIN}?format=json`;
    const headersOf = async () => {
      const { headers } = await get(baseOf(app), path);
      return ["source", "cached", "stale"].map((name) => headers.get(`x-vehicle-${name}`));
    };

    expect([await headersOf(), await headersOf()]).toEqual([
      ["vpic", "false", "false"],
      ["vpic", "true", "false"],
    ]);
  });

  test("accepts names in upper and lower case, and a model year", async () => {
    const app = await start();

    const { body } = await get(baseOf(app), `decodevinvalues/${VIN.toLowerCase()}?Format=JSON&modelYear=2015`);

    expect(parse(body).Results).toMatchObject([{ VIN, ModelYear: "2015" }]);
    expect(app.vpic.requests[0]?.asked).toEqual([{ vin: VIN, modelYear: "2015" }]);
  });

  test.each(["DecodeVin", "DecodeVinExtended"])("answers %s with a row for each variable", async (operation) => {
    const app = await start();

    const { body } = await get(baseOf(app), `${operation}/${VIN}?format=json`);

    const { Count, SearchCriteria, Results } = parse(body);
    expect([Count, SearchCriteria]).toEqual([Results.length, `VIN:${VIN}`]);
    expect(Results[0]).toEqual({ Value: "", ValueId: null, Variable: "Suggested VIN", VariableId: 142 });
    expect(Results).toContainEqual({ Value: "PETERBILT", ValueId: "444", Variable: "Make", VariableId: 26 });
    expect(Results).toContainEqual({ Value: null, ValueId: null, Variable: "Doors", VariableId: 14 });
  });

  test("has every variable of the flat form in the long form, except for the VIN and the ids", () => {
    const flatNames = VPIC_ELEMENTS.map(({ flatName }) => flatName);

    const others = ["VIN", "MakeID", "ModelID", "ManufacturerId"];
    expect([...flatNames, ...others].toSorted()).toEqual(VPIC_VARIABLES.toSorted());
  });

  test("answers CSV", async () => {
    const app = await start();

    const { headers, body } = await get(baseOf(app), `DecodeVinValues/${VIN}?format=csv`);

    const [names = "", values = ""] = body.split("\r\n");
    expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(names.split(",")).toEqual(VPIC_VARIABLES);
    expect(values).toContain(",PETERBILT,");
  });

  test.each(["", "?format=xml"])("refuses %j with a 400 that says what to do", async (query) => {
    const app = await start();

    const { status, body } = await get(baseOf(app), `DecodeVinValues/${VIN}${query}`);

    expect([status, JSON.parse(body)]).toEqual([
      400,
      { message: "format: add format=json or format=csv; XML is not served" },
    ]);
  });

  test.each(["GetAllMakes?format=json", "DecodeVinValues/?format=json", "%E0%A4%A"])(
    "answers %s with a 404 that names the paths that are served",
    async (path) => {
      const app = await start();

      const { status, body } = await get(baseOf(app), path);

      expect([status, JSON.parse(body)]).toEqual([404, { message: expect.stringContaining("DecodeVINValuesBatch") }]);
    },
  );

  test("asks vPIC about a partial VIN each time, and stores no answer", async () => {
    const app = await start({
      vpic: { facts: { "5UXWX7C5*BA": { ErrorCode: "6", ErrorText: "6 - Incomplete VIN" } } },
    });
    const path = "DecodeVinValues/5uxwx7c5*ba?format=json";

    const first = await get(baseOf(app), path);
    await get(baseOf(app), path);

    expect(parse(first.body)).toMatchObject({
      SearchCriteria: "VIN(s): 5uxwx7c5*ba",
      Results: [{ VIN: "5UXWX7C5*BA", ErrorCode: "6", Make: "PETERBILT" }],
    });
    expect(app.vpic.vins).toEqual(["5UXWX7C5*BA", "5UXWX7C5*BA"]);
  });

  test.each([
    ["5UXWX7C5*BA", "6", "6 - Incomplete VIN"],
    ["1XPWD40X1ED21530O", "400", "400 - Invalid Characters Present"],
    ["not a VIN", "6,400", "6 - Incomplete VIN; 400 - Invalid Characters Present"],
  ])("answers %s with code %s if vPIC is not a source", async (vin, code, text) => {
    const app = await start({ env: { SOURCES: "snapshot" } });

    const { status, body, headers } = await get(baseOf(app), `DecodeVinValues/${encodeURIComponent(vin)}?format=json`);

    expect([status, headers.get("x-vehicle-source")]).toEqual([200, "none"]);
    expect(parse(body).Results).toMatchObject([{ VIN: vin.toUpperCase(), ErrorCode: code, ErrorText: text, Make: "" }]);
  });

  test("answers a VIN that vPIC cannot decode with vPIC's codes", async () => {
    const facts = {
      ErrorCode: "7",
      ErrorText: "7 - Manufacturer is not registered",
      Make: "",
      Model: "",
      ModelYear: "",
    };
    const app = await start({ vpic: { facts: { [VIN]: facts } } });

    const { status, body } = await get(baseOf(app), `DecodeVinValues/${VIN}?format=json`);

    expect([status, parse(body).Results]).toEqual([200, [expect.objectContaining({ ...facts, VIN })]]);
  });

  test("needs a token with the scope lookup", async () => {
    const directory = stack.use(await temporaryDirectory());
    const [reader, exporter] = [
      ["reader", "lookup"],
      ["exporter", "export"],
    ].map((args) => makeToken(args, randomBytes, Date.now()));
    const file = join(directory.path, "tokens");
    await writeFile(file, `${reader?.line}\n${exporter?.line}\n`);
    const app = await start({ env: { AUTH_TOKENS_FILE: file } });
    const path = `DecodeVinValues/${VIN}?format=json`;
    const withSecret = (secret = ""): Promise<{ status: number }> =>
      get(baseOf(app), path, { headers: { authorization: `Bearer ${secret}` } });

    const without = await get(baseOf(app), path);
    const wrong = await withSecret(exporter?.secret);
    const right = await withSecret(reader?.secret);

    expect([without.status, wrong.status, right.status]).toEqual([401, 403, 200]);
    expect(JSON.parse(without.body)).toEqual({ message: expect.stringContaining("a token is required") });
  });
});

describe("POST /api/vehicles/DecodeVINValuesBatch/", () => {
  async function post(app: TestApp, body: string, path = "DecodeVINValuesBatch/") {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return get(baseOf(app), path, { method: "POST", body, headers });
  }

  test("answers more than vPIC's limit of 50 VINs, in order, with years and bad VINs", async () => {
    const app = await start();
    const vins = manyVins(60);
    const data = `${vins.join(";")}; ${VIN},2015;1XPW*;`;

    const { status, body, headers } = await post(app, `format=json&DATA=${data}`);

    const { Count, SearchCriteria, Results } = parse(body);
    expect([status, Count, SearchCriteria, headers.get("x-vehicle-source")]).toEqual([200, 62, "", "vpic"]);
    expect(Results.map((row) => row["VIN"])).toEqual([...vins, VIN, "1XPW*"]);
    expect(Results.at(60)).toMatchObject({ ModelYear: "2015" });
  });

  test("accepts the format in the query, and other spellings of the path", async () => {
    const app = await start();

    const { body } = await post(app, `data=${VIN}`, "DecodeVinValuesBatch?format=csv");

    expect(body.split("\r\n")).toHaveLength(3);
  });

  test("refuses more VINs than BatchLookup allows", async () => {
    const app = await start();

    const { status, body } = await post(app, `format=json&data=${"1;".repeat(5_001)}`);

    expect([status, JSON.parse(body)]).toEqual([
      400,
      { message: "data: expected 1 to 5000 VINs, separated by semicolons" },
    ]);
  });
});

test("a client for vPIC works if only its base URL is changed", async () => {
  const app = await start();
  const { fetch: realFetch } = globalThis;
  const toOurs = (url: string): string => url.replace("https://vpic.nhtsa.dot.gov/api", baseOf(app));
  vi.stubGlobal("fetch", (url: string, init?: RequestInit) => realFetch(toOurs(url), init));
  stack.defer(() => {
    vi.unstubAllGlobals();
  });

  const one = await DecodeVinValues(VIN, { modelYear: 2015 });
  const many = await DecodeVinValuesBatch(`${VIN},2015;${manyVins(1)[0]}`);

  expect(one.Results).toMatchObject([{ VIN, Make: "PETERBILT", ModelYear: "2015" }]);
  expect(many.Results).toMatchObject([{ VIN }, { Make: "PETERBILT" }]);
});
