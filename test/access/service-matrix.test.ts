import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Scope } from "../../src/access/token.ts";
import { digestOf } from "../../src/access/token.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import { readServedMethods } from "./served-methods.ts";
import { isServedByGet, type Outcome, PROTOCOLS } from "./wire-protocols.ts";
import { openHttp1, openHttp2, type Wire, type WireOptions } from "./wire.ts";

const [VIN = ""] = manyVins(1);

/** What a method requires: a scope, any valid token, or nothing. */
type Rule = Scope | "a token" | "nothing";

/** What each method requires, written down independently of the code that enforces it. */
const RULES: Readonly<Record<string, Rule>> = {
  "vehicle.v1.VehicleService/Lookup": "lookup",
  "vehicle.v1.VehicleService/BatchLookup": "lookup",
  "vehicle.v1.VehicleService/Remove": "remove",
  "vehicle.v1.VehicleService/Export": "export",
  "grpc.health.v1.Health/Check": "nothing",
  "grpc.health.v1.Health/List": "nothing",
  "grpc.health.v1.Health/Watch": "nothing",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": "a token",
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "a token",
};

/** The same for plain HTTP. */
const PLAIN_RULES: Readonly<Record<string, Rule>> = {
  "/": "nothing",
  "/export.parquet": "export",
  "/healthz": "nothing",
  "/metrics": "nothing",
  "/openapi.json": "nothing",
  "/readyz": "nothing",
};

/** Valid requests. */
const MESSAGES: Readonly<Record<string, JsonObject>> = {
  "vehicle.v1.VehicleService/Lookup": { vin: VIN },
  "vehicle.v1.VehicleService/BatchLookup": { vins: [VIN] },
  "vehicle.v1.VehicleService/Remove": { vin: VIN },
};

interface Credential {
  readonly authorization?: string | string[];
  /** The scopes that it gives, or why it is refused. */
  readonly means: readonly Scope[] | "TOKEN_MISSING" | "TOKEN_UNKNOWN";
}

const ALL: readonly Scope[] = ["lookup", "remove", "export"];

const CREDENTIALS: Readonly<Record<string, Credential>> = {
  "no header": { means: "TOKEN_MISSING" },
  "an empty header": { authorization: "", means: "TOKEN_MISSING" },
  "the scheme alone": { authorization: "Bearer", means: "TOKEN_MISSING" },
  "the scheme and a blank": { authorization: "Bearer ", means: "TOKEN_MISSING" },
  "the secret alone": { authorization: "vs_all", means: "TOKEN_MISSING" },
  "another scheme": { authorization: `Basic ${Buffer.from("all:vs_all").toString("base64")}`, means: "TOKEN_MISSING" },
  "more behind the secret": { authorization: "Bearer vs_all more", means: "TOKEN_MISSING" },
  "two tokens in one header": { authorization: "Bearer vs_all, Bearer vs_all", means: "TOKEN_MISSING" },
  "an unknown token": { authorization: "Bearer vs_nobody", means: "TOKEN_UNKNOWN" },
  "a token's name": { authorization: "Bearer all", means: "TOKEN_UNKNOWN" },
  "a token's digest": { authorization: `Bearer ${digestOf("vs_all")}`, means: "TOKEN_UNKNOWN" },
  "an expired token": { authorization: "Bearer vs_expired", means: "TOKEN_UNKNOWN" },
  "a token for lookup": { authorization: "Bearer vs_lookup", means: ["lookup"] },
  "a token for remove": { authorization: "Bearer vs_remove", means: ["remove"] },
  "a token for export": { authorization: "Bearer vs_export", means: ["export"] },
  "a token for all": { authorization: "Bearer vs_all", means: ALL },
  "a scheme in lower case": { authorization: "bearer vs_all", means: ALL },
  "a scheme in upper case": { authorization: "BEARER vs_all", means: ALL },
  "two headers, the first one good": { authorization: ["Bearer vs_all", "Bearer vs_nobody"], means: ALL },
  "two headers, the second one good": { authorization: ["Bearer vs_nobody", "Bearer vs_all"], means: "TOKEN_UNKNOWN" },
};

const TOKENS = [
  ...ALL.map((scope) => `${scope} ${digestOf(`vs_${scope}`)} ${scope}`),
  `all ${digestOf("vs_all")} lookup,remove,export`,
  `expired ${digestOf("vs_expired")} lookup,remove,export 2026-01-01`,
];

/** Other ways to write a valid token. They are not tried on exports, which are slow. */
const SPELLINGS = new Set(["a scheme in lower case", "a scheme in upper case", "two headers, the first one good"]);

/** Enough where another port or protocol already covers the parsing of the header. */
const FEW = new Set([
  "no header",
  "an unknown token",
  "a token for lookup",
  "a token for remove",
  "a token for export",
]);

type Extent = "all credentials" | "few credentials";

function credentialsFor(name: string, extent: Extent): [string, Credential][] {
  return Object.entries(CREDENTIALS).filter(([each]) =>
    extent === "few credentials" ? FEW.has(each) : !/export/i.test(name) || !SPELLINGS.has(each),
  );
}

type WireName = keyof typeof WIRES;
type Apps = Readonly<Record<"open" | "secure", TestApp>>;

/** Each connection has its own source address, because callers without a token are limited by address. */
let connections = 0;
const wireOptions = (ca: string): WireOptions => ({ ca, localAddress: `127.0.1.${++connections}` });

const WIRES = {
  "the gRPC port": ({ open }: Apps, ca: string) => openHttp2(`http://${open.grpcAddress}`, wireOptions(ca)),
  "the gRPC port over HTTP/1.1": ({ open }: Apps, ca: string) =>
    openHttp1(`http://${open.grpcAddress}`, wireOptions(ca)),
  "the gRPC port with TLS": ({ secure }: Apps, ca: string) =>
    openHttp2(`https://${secure.grpcAddress}`, wireOptions(ca)),
  "the HTTP port": ({ open }: Apps, ca: string) => openHttp1(`http://${open.httpAddress}`, wireOptions(ca)),
  "the HTTP port over HTTP/2": ({ open }: Apps, ca: string) => openHttp2(`http://${open.httpAddress}`, wireOptions(ca)),
  "the HTTP port with TLS": ({ secure }: Apps, ca: string) =>
    openHttp1(`https://${secure.httpAddress}`, wireOptions(ca)),
  "the HTTP port with TLS over HTTP/2": ({ secure }: Apps, ca: string) =>
    openHttp2(`https://${secure.httpAddress}`, wireOptions(ca)),
};

type Serves = (method: DescMethod) => boolean;
const everything: Serves = () => true;
const nothing: Serves = () => false;
/** What HTTP/1.1 can carry. */
const noBidi: Serves = ({ methodKind }) => methodKind !== "bidi_streaming";

/** What is served where, and how thoroughly it is tested. */
const MATRIX: readonly (readonly [keyof typeof PROTOCOLS, WireName, Extent, Serves])[] = [
  ["gRPC", "the gRPC port", "all credentials", everything],
  ["gRPC", "the gRPC port with TLS", "few credentials", everything],
  ["gRPC", "the HTTP port with TLS over HTTP/2", "few credentials", everything],
  ["gRPC", "the HTTP port", "few credentials", nothing],
  ["gRPC-Web", "the gRPC port", "all credentials", everything],
  ["gRPC-Web", "the gRPC port over HTTP/1.1", "all credentials", noBidi],
  ["gRPC-Web", "the HTTP port with TLS over HTTP/2", "few credentials", everything],
  ["Connect", "the gRPC port", "few credentials", everything],
  ["Connect", "the HTTP port", "all credentials", noBidi],
  ["Connect", "the HTTP port with TLS", "few credentials", noBidi],
  ["Connect", "the HTTP port over HTTP/2", "all credentials", everything],
  ["Connect by GET", "the HTTP port", "all credentials", isServedByGet],
  ["Connect by GET", "the HTTP port with TLS over HTTP/2", "few credentials", isServedByGet],
];

const running = new AsyncDisposableStack();
let disk: TlsOnDisk;
let methods: readonly DescMethod[];
let apps: Apps;

beforeAll(async () => {
  const { path } = running.use(await temporaryDirectory());
  disk = running.use(await writeTls());
  const tokens = join(path, "tokens");
  await writeFile(tokens, TOKENS.join("\n"));
  const env = { AUTH_TOKENS_FILE: tokens };
  apps = {
    open: running.use(await startTestApp({ env })),
    secure: running.use(await startTestApp({ env: { ...env, ...disk.env } })),
  };
  methods = await readServedMethods(apps.open.grpcAddress, "Bearer vs_lookup");
});

afterAll(() => running.disposeAsync());

function nameOf({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

function promised(rule: Rule | undefined, { means }: Credential): Outcome {
  if (rule === "nothing") {
    return "ok";
  }
  if (typeof means === "string") {
    return `Unauthenticated ${means}`;
  }
  return rule === "a token" || (rule !== undefined && means.includes(rule)) ? "ok" : "PermissionDenied SCOPE_MISSING";
}

function headersOf({ authorization }: Credential): { authorization?: string | string[] } {
  return authorization === undefined ? {} : { authorization };
}

async function outcomesOf(
  wire: Wire,
  protocolName: keyof typeof PROTOCOLS,
  extent: Extent,
  method: DescMethod,
): Promise<unknown> {
  const protocol = PROTOCOLS[protocolName];
  const request = protocol.write(method, MESSAGES[nameOf(method)] ?? {});
  const outcomes: Record<string, Outcome> = {};
  for (const [name, credential] of credentialsFor(method.name, extent)) {
    const headers = { ...request.headers, ...headersOf(credential) };
    outcomes[name] = protocol.read(await wire.send({ ...request, headers }), method);
  }
  return outcomes;
}

function eachCredential(
  name: string,
  extent: Extent,
  outcomeOf: (credential: Credential) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(credentialsFor(name, extent).map(([credential, each]) => [credential, outcomeOf(each)]));
}

describe("a service with tokens", () => {
  test("has a rule for every method that it serves", () => {
    expect(methods.map(nameOf).toSorted()).toEqual(Object.keys(RULES).toSorted());
  });

  test.each(MATRIX)("over %s on %s, enforces the rule of every method (%s)", async (protocol, name, extent, serves) => {
    using wire = WIRES[name](apps, disk.ca);
    const actual: Record<string, unknown> = {};

    for (const method of methods) {
      actual[nameOf(method)] = await outcomesOf(wire, protocol, extent, method);
    }

    expect(actual).toEqual(
      Object.fromEntries(
        methods.map((method) => [
          nameOf(method),
          eachCredential(method.name, extent, (each) =>
            serves(method) ? promised(RULES[nameOf(method)], each) : "not served",
          ),
        ]),
      ),
    );
  });

  test.each(
    (
      [
        ["the HTTP port", "all credentials"],
        ["the HTTP port with TLS over HTTP/2", "few credentials"],
      ] as const
    ).flatMap(([wire, extent]) => (["GET", "HEAD"] as const).map((method) => [method, wire, extent] as const)),
  )("over %s on %s, asks callers of plain HTTP for what its rule says (%s)", async (method, name, extent) => {
    using wire = WIRES[name](apps, disk.ca);
    const actual: Record<string, Record<string, unknown>> = {};

    for (const path of Object.keys(PLAIN_RULES)) {
      const statuses: Record<string, unknown> = {};
      for (const [credentialName, credential] of credentialsFor(path, extent)) {
        const answer = await wire.send({ method, path, headers: headersOf(credential), body: Buffer.alloc(0) });
        statuses[credentialName] = answer.status;
      }
      actual[path] = statuses;
    }

    const status = { ok: 200, Unauthenticated: 401, PermissionDenied: 403 };
    expect(actual).toEqual(
      Object.fromEntries(
        Object.entries(PLAIN_RULES).map(([path, rule]) => [
          path,
          eachCredential(path, extent, (each) => {
            const [code = ""] = promised(rule, each).split(" ");
            return Reflect.get(status, code);
          }),
        ]),
      ),
    );
  });

  test("does nothing for refused callers", async () => {
    using wire = WIRES["the HTTP port"](apps, disk.ca);
    const [lookup, remove] = ["Lookup", "Remove"].map((name) => methods.find((method) => method.name === name));
    const ask = async (method: DescMethod | undefined, credential: Credential): Promise<string> => {
      if (method === undefined) {
        return "no such method";
      }
      const request = PROTOCOLS.Connect.write(method, { vin: VIN });
      const answer = await wire.send({ ...request, headers: { ...request.headers, ...headersOf(credential) } });
      return answer.body.toString();
    };
    const forAll: Credential = { authorization: "Bearer vs_all", means: ALL };
    await ask(lookup, forAll);

    for (const credential of Object.values(CREDENTIALS).filter((each) => promised("remove", each) !== "ok")) {
      await ask(remove, credential);
    }

    expect(JSON.parse(await ask(lookup, forAll))).toMatchObject({ vin: VIN, cached: true });
  });
});
