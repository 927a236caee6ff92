import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { ServerReflectionRequestSchema } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "#gen/health/v1/health_pb.ts";
import type { ExportResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { clientOf, TRANSPORTS } from "../support/clients.ts";
import type { Addresses } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { OPENING } from "../support/http2-frames.ts";
import packageJson from "../../package.json" with { type: "json" };

const [VIN = "", ...VINS] = manyVins(500);
const PROTOCOLS = ["grpc", "grpc-web", "connect"] as const;
/** Longer than any test, so that a test fails if the service waits for this. */
const ENDLESS_GRACE = "60m";
/** Only a hang takes so long: nine callers and an export of 10 MB share a machine that may be busy. */
const BUSY_MS = 600_000;

describe("the process", () => {
  test("keeps its cache over a restart, and logs its version, addresses and sources at each start", async () => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic();
    const env = { DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpic.url };

    await using first = await ServiceProcess.start(env);
    const decoded = await clientOf(first).lookup({ vin: VIN });
    const exitCode = await first.stop();
    await using second = await ServiceProcess.start(env);
    const cached = await clientOf(second).lookup({ vin: VIN });

    expect(exitCode).toBe(0);
    expect(second.log.filter(({ msg }) => msg === "listening")).toMatchObject([
      { version: packageJson.version, grpc: second.grpcAddress, http: second.httpAddress, sources: ["vpic"] },
    ]);
    expect(cached).toEqual({ ...decoded, cached: true });
    expect(vpic.requests).toHaveLength(1);
  });

  test("on SIGTERM reports NOT_SERVING, finishes running calls, and exits with 0", async () => {
    const stopped = Promise.withResolvers<undefined>();
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic({
      // An export of these is more than a connection holds while nobody reads it.
      facts: Object.fromEntries(VINS.map((vin) => [vin, { Note: randomBytes(1_500).toString("hex") }])),
      respondWith: ({ vins }) => (vins.includes(VIN) ? { kind: "answer", until: stopped.promise } : { kind: "answer" }),
    });
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
      VPIC_PATIENCE: "60s",
      VPIC_REQUESTS_PER_SECOND: "1000",
      SHUTDOWN_GRACE: ENDLESS_GRACE,
    });
    await Array.fromAsync(clientOf(service).batchLookup({ vins: VINS }));

    const watches = await Promise.all(PROTOCOLS.map((protocol) => openWatch(service, protocol)));
    const exports = await Promise.all([openExport(service, "grpc"), openExport(service, "connect")]);
    const lookups = Promise.all(
      PROTOCOLS.map((protocol) => clientOf(swapPorts(service), protocol).lookup({ vin: VIN }, { timeoutMs: 30_000 })),
    );
    await expect.poll(() => vpic.vins).toContain(VIN);
    // vPIC is asked when the first of them has arrived.
    await expect.poll(() => startedLookups(service)).toBe(PROTOCOLS.length);
    const exited = service.stop();
    const farewells = await Promise.all(watches.map((next) => next()));
    const ends = await Promise.all(watches.map((next) => errorOf(next())));
    stopped.resolve(undefined);

    expect(farewells).toEqual(PROTOCOLS.map(() => ServingStatus.NOT_SERVING));
    expect(ends.map(({ message }) => message)).toEqual(PROTOCOLS.map(() => expect.stringContaining("[unavailable]")));
    expect((await lookups).map(({ vin }) => vin)).toEqual(PROTOCOLS.map(() => VIN));
    for (const { sizeBytes, readRest } of exports) {
      expect(await readRest()).toBe(sizeBytes);
    }
    expect(await exited).toBe(0);
    expect(service.log.map(({ msg }) => msg)).toEqual(expect.arrayContaining(["stopping", "stopped"]));
  });

  test("on SIGTERM under load answers every call that it accepted, and ends with 0", { timeout: BUSY_MS }, async () => {
    await using table = await VehicleTable.create();
    fillUp(table);
    await using vpic = await startFakeVpic();
    await using service = await ServiceProcess.start({
      DATA_DIR: table.directory,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
      VPIC_PATIENCE: "60s",
      VPIC_REQUESTS_PER_SECOND: "1000",
      SHUTDOWN_GRACE: ENDLESS_GRACE,
    });
    const vins = manyVins(5_000).slice(250).values();
    const answered = new Set<string>();
    const enough = Promise.withResolvers<void>();
    const callUntilRefused = async (protocol: (typeof PROTOCOLS)[number]): Promise<void> => {
      const client = clientOf(service, protocol);
      for (const vin of vins) {
        const answer = await client.lookup({ vin }).catch(() => undefined);
        if (answer === undefined) {
          return;
        }
        answered.add(vin);
        if (answered.size === 100) {
          enough.resolve();
        }
      }
    };

    const { sizeBytes, readRest } = await openExport(service, "grpc");
    const callers = Promise.all([...PROTOCOLS, ...PROTOCOLS, ...PROTOCOLS].map(callUntilRefused));
    await enough.promise;
    const exited = service.stop();
    await callers;
    const bytes = await readRest();

    expect(await exited).toBe(0);
    expect(bytes).toBe(sizeBytes);
    // A call was accepted if vPIC was asked for its VIN.
    expect(vpic.vins.filter((vin) => !answered.has(vin))).toEqual([]);
  });

  test("on SIGINT ends reflection streams, which clients would hold open, and idle connections", async () => {
    const released = Promise.withResolvers<undefined>();
    await using directory = await temporaryDirectory();
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      SHUTDOWN_GRACE: ENDLESS_GRACE,
    });
    const requests = async function* (): AsyncGenerator<MessageInitShape<typeof ServerReflectionRequestSchema>> {
      yield { messageRequest: { case: "listServices", value: "" } };
      await released.promise;
    };
    const stream = createClient(ServerReflection, TRANSPORTS.grpc(service)).serverReflectionInfo(requests());
    const answers = stream[Symbol.asyncIterator]();
    const first = await answers.next();
    await openIdleConnections(service);

    const exited = service.stop("SIGINT");
    const end = await answers.next().then(
      () => "ok",
      (error: unknown) => Code[ConnectError.from(error).code],
    );
    released.resolve(undefined);

    expect(first.value?.messageResponse.case).toBe("listServicesResponse");
    expect(end).toMatch(/^(ok|Unavailable)$/);
    expect(await exited).toBe(0);
  });

  test("reports every fault of its configuration on standard error, and exits with 1", async () => {
    await using service = await ServiceProcess.fail({ HOST: "no host", VPIC_PATIENCE: "soon" });

    expect(service.exitCode).toBe(1);
    expect(service.stderr).toContain('HOST: found "no host"');
    expect(service.stderr).toContain('VPIC_PATIENCE: found "soon"');
  });

  test("reports in one line that a port is in use, and exits with 1", async () => {
    await using directory = await temporaryDirectory();
    await using occupier = createServer().listen(0, "127.0.0.1");
    await once(occupier, "listening");
    const port = portOf(occupier);

    await using service = await ServiceProcess.fail({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      HTTP_PORT: String(port),
    });

    expect(service.exitCode).toBe(1);
    expect(service.log.filter(({ level }) => level === "error")).toMatchObject([
      { msg: "cannot start", reason: expect.stringMatching(new RegExp(`HTTP_PORT.*${port}.*in use`)) },
    ]);
  });
});

/** Fills the cache with more than a connection holds of an export. */
function fillUp(table: VehicleTable): void {
  table.put(manyVins(250).map((vin) => ({ vin, attributes: { Note: randomBytes(20_000).toString("hex") } })));
}

/** Opens connections on both ports: some without a request, and some whose request was answered. */
async function openIdleConnections({ grpcAddress, httpAddress }: Addresses): Promise<void> {
  for (const address of [grpcAddress, httpAddress]) {
    for (const bytes of ["", "GET / HTTP/1.1\r\nHost:", "PRI * HT"]) {
      const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(bytes);
      socket.resume();
    }
    // These stay open. Their answers show that the connections before them were accepted.
    for (const bytes of ["GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", OPENING]) {
      const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
      socket.write(bytes);
      await once(socket, "data");
      socket.on("error", () => {});
      socket.resume();
    }
  }
}

/** The addresses with their ports exchanged. */
function swapPorts({ grpcAddress, httpAddress }: Addresses): Addresses {
  return { grpcAddress: httpAddress, httpAddress: grpcAddress };
}

/** How many Lookups have arrived, by the metrics. */
async function startedLookups({ httpAddress }: Addresses): Promise<number> {
  const response = await fetch(`http://${httpAddress}/metrics`, { headers: { connection: "close" } });
  const counts = (await response.text()).matchAll(/^grpc_server_started_total\{.*grpc_method="Lookup".*\} (\d+)$/gm);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Watches the service's health. Returns a function that reads the next status. */
async function openWatch(
  service: Addresses,
  protocol: (typeof PROTOCOLS)[number],
): Promise<() => Promise<ServingStatus | undefined>> {
  const statuses = createClient(Health, TRANSPORTS[protocol](service)).watch({})[Symbol.asyncIterator]();
  const next = async (): Promise<ServingStatus | undefined> => (await statuses.next()).value?.status;
  expect(await next()).toBe(ServingStatus.SERVING);
  return next;
}

interface OpenExport {
  readonly sizeBytes: number;
  /** Reads the rest, and returns the total number of bytes. */
  readonly readRest: () => Promise<number>;
}

/** Begins to read an export. */
async function openExport(service: Addresses, protocol: (typeof PROTOCOLS)[number]): Promise<OpenExport> {
  const parts = clientOf(service, protocol).export({})[Symbol.asyncIterator]();
  const first = await parts.next();
  const { part }: ExportResponse = first.value;
  return {
    sizeBytes: part.case === "metadata" ? Number(part.value.sizeBytes) : 0,
    async readRest() {
      const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => parts });
      return rest.reduce((sum, { part: each }) => sum + (each.case === "data" ? each.value.byteLength : 0), 0);
    },
  };
}
