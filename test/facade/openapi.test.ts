import { readFile } from "node:fs/promises";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestApp, type TestApp } from "../support/test-app.ts";

interface MediaType {
  readonly schema?: object;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
type Content = Readonly<Record<string, MediaType>>;

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly example?: string | number;
  readonly content?: Content;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

type Body = string | URLSearchParams | Blob;

/** A request that the document gives as an example. */
interface Example {
  readonly title: string;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body | null;
  readonly operation: Operation;
}

const STREAM_TYPE = "application/connect+json";
const document: { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> } = JSON.parse(
  await readFile(new URL("../../gen/openapi.json", import.meta.url), "utf8"),
);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, "document");

const examples = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).flatMap(([method, operation]) => examplesOf(method.toUpperCase(), path, operation)),
);

/** One request for each example of the body, or of the query parameter that replaces it. */
function examplesOf(method: string, path: string, operation: Operation): Example[] {
  const { parameters = [], requestBody } = operation;
  const message = parameters.find(({ content }) => content !== undefined);
  const values = valuesOf(requestBody?.content ?? message?.content ?? {});
  return (values.length === 0 ? [undefined] : values).map((value) => {
    const target = parameters.reduce((target, { name, in: place, example, content }) => {
      const text = content === undefined ? example : JSON.stringify(value?.value);
      if (text === undefined || place === "header") {
        return target;
      }
      return place === "path"
        ? target.replace(`{${name}}`, String(text))
        : `${target}${target.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(text)}`;
    }, path);
    const body = requestBody === undefined ? undefined : value;
    return {
      title: `${method} ${path} ${JSON.stringify(value?.value ?? "")}`,
      method,
      target,
      headers: body === undefined ? {} : { "content-type": body.type },
      body: body === undefined ? null : encode(body),
      operation,
    };
  });
}

function valuesOf(content: Content): { readonly type: string; readonly value: unknown }[] {
  return Object.entries(content).flatMap(([type, { example, examples: several = {} }]) => {
    const values = example === undefined ? Object.values(several).map(({ value }) => value) : [example];
    return values.map((value) => ({ type, value }));
  });
}

function encode({ type, value }: { readonly type: string; readonly value: unknown }): Body {
  if (typeof value === "string") {
    return value;
  }
  if (type === "application/x-www-form-urlencoded") {
    return new URLSearchParams(Object.entries(value ?? {}));
  }
  const text = JSON.stringify(value);
  return type === STREAM_TYPE ? new Blob([envelopeHead(text.length), text]) : text;
}

function envelopeHead(size: number): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(5);
  new DataView(head.buffer).setUint32(1, size);
  return head;
}

/** The parts of an answer that the schema applies to: the body, or each message of a stream. */
function valuesOfAnswer(type: string, bytes: Buffer): unknown[] {
  if (type === STREAM_TYPE) {
    const values: unknown[] = [];
    for (let position = 0; position < bytes.length;) {
      const end = position + 5 + bytes.readUInt32BE(position + 1);
      values.push(JSON.parse(bytes.toString("utf8", position + 5, end)));
      position = end;
    }
    return values;
  }
  return [type === "application/json" ? JSON.parse(bytes.toString()) : bytes.toString()];
}

/** The differences between a value and a schema of the document. */
function faultsOf(value: unknown, schema: object = {}): unknown[] {
  const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')));
  return validate(value) ? [] : [{ value, errors: validate.errors }];
}

test("the document is valid OpenAPI", async () => {
  const result = await new Validator().validate(structuredClone(document));

  expect(result).toEqual({ valid: true });
});

describe("the service", () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startTestApp();
  });

  afterAll(() => app[Symbol.asyncDispose]());

  test.each(["grpcAddress", "httpAddress"] as const)("serves the document at its %s", async (port) => {
    const response = await fetch(`http://${app[port]}/openapi.json`);

    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual(document);
  });

  test.each(examples)("answers as described: $title", async ({ method, target, headers, body, operation }) => {
    const response = await fetch(`http://${app.httpAddress}${target}`, { method, headers, body });
    const bytes = Buffer.from(await response.arrayBuffer());

    const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const described = operation.responses[response.status]?.content?.[type];
    expect({ status: response.status, described }).toEqual({ status: 200, described: expect.anything() });
    for (const value of valuesOfAnswer(type, bytes)) {
      expect(faultsOf(value, described?.schema)).toEqual([]);
    }
  });

  test("answers an error as described", async () => {
    const headers = { "content-type": "application/json" };
    const url = `http://${app.httpAddress}/vehicle.v1.VehicleService/Lookup`;

    const response = await fetch(url, { method: "POST", headers, body: '{"vin":"nonsense"}' });

    expect(response.status).toBe(400);
    expect(faultsOf(await response.json(), { $ref: "#/components/schemas/connect.Error" })).toEqual([]);
  });
});
