import { join } from "node:path";

import type { Client, ConnectError, Transport } from "@connectrpc/connect";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import Database from "better-sqlite3";
import { anyUnpack } from "@bufbuild/protobuf/wkt";

import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { BadRequest } from "#gen/google/rpc/error_details_pb.ts";
import type { BatchLookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { DETAIL_TYPES } from "../../src/rpc/detail-types.ts";
import { errorOf } from "../support/error-of.ts";
import type { ReceivedRequest } from "../support/fake-vpic.ts";
import type { Figure, Finding, Listener, Row } from "./finding.ts";
import { HOSTILE_VINS, LOOK_ALIKES } from "./hostile-vins.ts";
import { CACHED_VIN, Target } from "./target.ts";

const VIN = /^[A-HJ-NPR-Z0-9]{17}$/;
const INVALID_ARGUMENT: number = Code.InvalidArgument;
const COLD_VINS = ["1FUJGLDR9CSBM1234", "2NKHHM6X8FM123456", "3AKJHHDR5JSJK1234"];
const LOOKUP_QUERY = "/vehicle.v1.VehicleService/Lookup?connect=v1&encoding=json&message=";

interface Door {
  readonly listener: Listener;
  readonly name: string;
  readonly transport: (target: Target) => Transport;
}

const http1 = ({ httpAddress }: Target) => ({ baseUrl: `http://${httpAddress}`, httpVersion: "1.1" }) as const;
const http2 = ({ httpAddress, ca }: Target) =>
  ({ baseUrl: `https://${httpAddress}`, httpVersion: "2", nodeOptions: { ca } }) as const;

const DOORS: readonly Door[] = [
  {
    listener: "gRPC",
    name: "gRPC",
    transport: ({ grpcAddress }) => createGrpcTransport({ baseUrl: `http://${grpcAddress}` }),
  },
  { listener: "HTTP", name: "gRPC-Web", transport: (target) => createGrpcWebTransport(http1(target)) },
  { listener: "HTTP", name: "Connect", transport: (target) => createConnectTransport(http1(target)) },
  {
    listener: "HTTP",
    name: "Connect, JSON",
    transport: (target) =>
      createConnectTransport({ ...http1(target), useBinaryFormat: false, jsonOptions: { registry: DETAIL_TYPES } }),
  },
  {
    listener: "HTTP",
    name: "Connect, GET",
    transport: (target) => createConnectTransport({ ...http1(target), useHttpGet: true }),
  },
];

const SECURED_DOORS: readonly Door[] = [
  { listener: "HTTP/2", name: "gRPC-Web", transport: (target) => createGrpcWebTransport(http2(target)) },
  { listener: "HTTP/2", name: "Connect", transport: (target) => createConnectTransport(http2(target)) },
];

/** Row 28: texts that are no VINs must get no further than the answer that says so. */
export const rowsOfVins: readonly Row[] = [
  {
    number: 28,
    title: "VINs that would do harm elsewhere",
    async run() {
      await using plain = await Target.start({ LOG_LEVEL: "debug" });
      await using secured = await Target.startSecured({ LOG_LEVEL: "debug" });
      return [
        ...(await attack(plain, DOORS)),
        ...(await askByQuery(plain)),
        await lookBehind(plain),
        ...(await attack(secured, SECURED_DOORS)),
        await lookBehind(secured),
      ];
    },
  },
];

async function attack(target: Target, doors: readonly Door[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { listener, name, transport } of doors) {
    const client = createClient(VehicleService, transport(target));
    let wrong = 0;
    for (const vin of HOSTILE_VINS) {
      const errors = [await errorOf(client.lookup({ vin })), await errorOf(client.remove({ vin }))];
      wrong += errors.filter((error) => !blamesVin(error)).length;
    }
    const vins = [...HOSTILE_VINS, ...LOOK_ALIKES, CACHED_VIN, ...COLD_VINS];
    const { refused, given } = await lookUpBatch(client, vins);
    const asked = HOSTILE_VINS.length + LOOK_ALIKES.length;
    findings.push({
      listener,
      what: `${HOSTILE_VINS.length} texts and ${LOOK_ALIKES.length} look-alikes, ${name}`,
      figures: [
        { name: "Lookup and Remove not INVALID_ARGUMENT", value: wrong, atMost: 0 },
        { name: "BatchLookup INVALID_ARGUMENT", value: refused, atLeast: asked, atMost: asked },
        { name: "VINs among them answered", value: given, atLeast: 1 + COLD_VINS.length, atMost: 1 + COLD_VINS.length },
      ],
    });
  }
  return findings;
}

function blamesVin(error: ConnectError): boolean {
  return error.code === Code.InvalidArgument && hasField(error.findDetails(BadRequestSchema), /^vin$/);
}

async function lookUpBatch(
  client: Client<typeof VehicleService>,
  vins: string[],
): Promise<{ readonly refused: number; readonly given: number }> {
  const answers = await Array.fromAsync(client.batchLookup({ vins }));
  return {
    refused: answers.filter(blamesVinOfBatch).length,
    given: answers.filter(({ result }) => result.case === "vehicle").length,
  };
}

function blamesVinOfBatch({ result }: BatchLookupResponse): boolean {
  if (result.case !== "error" || result.value.code !== INVALID_ARGUMENT) {
    return false;
  }
  const details = result.value.details.map((detail) => anyUnpack(detail, BadRequestSchema));
  return hasField(
    details.filter((detail) => detail !== undefined),
    /^vins?/,
  );
}

function hasField(details: readonly BadRequest[], field: RegExp): boolean {
  return details.some(({ fieldViolations }) => fieldViolations.some((violation) => field.test(violation.field)));
}

/** Queries as a hand may write them: the message escaped, and not. */
async function askByQuery(target: Target): Promise<Finding[]> {
  let wrong = 0;
  for (const vin of HOSTILE_VINS) {
    const message = JSON.stringify({ vin });
    for (const query of [encodeURIComponent(message), message.replaceAll(/[\s#%&]/g, encodeURIComponent)]) {
      const response = await fetch(`http://${target.httpAddress}${LOOKUP_QUERY}${query}`);
      wrong += response.status === 400 && /"invalid_argument"/.test(await response.text()) ? 0 : 1;
    }
  }
  const figures: Figure[] = [{ name: "not INVALID_ARGUMENT", value: wrong, atMost: 0 }];
  return [{ listener: "HTTP", what: `${2 * HOSTILE_VINS.length} queries`, figures }];
}

/** What came of it in vPIC, in the log and in the database. */
async function lookBehind(target: Target): Promise<Finding> {
  const { requests } = target.vpic;
  const lines = target.service.log.map((entry) => JSON.stringify(entry));
  const needles = [...HOSTILE_VINS, ...LOOK_ALIKES]
    // Those that are part of other things say nothing.
    .filter((vin) => vin.length > 10 && !CACHED_VIN.includes(vin))
    .map((vin) => JSON.stringify(vin).slice(1, -1));
  const output = [...lines, target.service.stderr].join("\n");
  using database = new OpenDatabase(join(target.dataDir, "vehicles.db"));
  const stored = database.vins();
  return {
    listener: "both",
    what: "what came of it",
    figures: [
      { name: "exits", value: (await target.memoryMib()) === 0 ? 1 : 0, atMost: 0 },
      { name: "requests to vPIC", value: requests.length, atLeast: 2 },
      { name: "off the template", value: requests.filter((request) => !isOnTemplate(request)).length, atMost: 0 },
      { name: "log lines", value: lines.length, atLeast: HOSTILE_VINS.length },
      { name: "texts in the log", value: needles.filter((needle) => output.includes(needle)).length, atMost: 0 },
      { name: "bytes on standard error", value: target.service.stderr.length, atMost: 0 },
      { name: "rows", value: stored.length, atLeast: 1 + COLD_VINS.length, atMost: 1 + COLD_VINS.length },
      { name: "rows that are no VINs", value: stored.filter((vin) => !VIN.test(vin)).length, atMost: 0 },
    ],
  };
}

function isOnTemplate({ method, path, body }: ReceivedRequest): boolean {
  return method === "GET"
    ? body === "" &&
        /^\/api\/vehicles\/DecodeVinValues\/[A-HJ-NPR-Z0-9]{17}\?format=json(?:&modelyear=\d{4})?$/.test(path)
    : method === "POST" &&
        path === "/api/vehicles/DecodeVINValuesBatch/" &&
        /^format=json&data=[A-HJ-NPR-Z0-9]{17}(?:%3B[A-HJ-NPR-Z0-9]{17}(?:%2C\d{4})?)*$/.test(body);
}

/** The cache's rows as they are on disk. */
class OpenDatabase implements Disposable {
  readonly #database: Database.Database;

  constructor(path: string) {
    this.#database = new Database(path, { readonly: true });
  }

  vins(): string[] {
    return this.#database
      .prepare("select vin from vehicles")
      .pluck()
      .all()
      .map((vin) => String(vin));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
