import { join } from "node:path";
import { createContextValues, createServiceImplSpec } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { parseDatabaseUrl } from "./cache/database-url.ts";
import type { OpenVehicleStore } from "./cache/open-vehicle-store.ts";
import { openVehicleStore } from "./cache/open-vehicle-store.ts";
import type { Config, TlsConfig } from "./config.ts";
import { ExportSpool } from "./export/export-spool.ts";
import { createExportHandler } from "./export/http.ts";
import { VehicleExports } from "./export/vehicle-exports.ts";
import { DETAIL_TYPES } from "./rpc/detail-types.ts";
import { createExportEndpoint } from "./rpc/export-endpoint.ts";
import { createInterceptors } from "./rpc/interceptors.ts";
import { callerKey } from "./rpc/caller.ts";
import { METHOD_LIMITS } from "./rpc/method-limits.ts";
import { createAdmission } from "./rpc/admission.ts";
import { createVehicleHandlers } from "./rpc/vehicle-handlers.ts";
import { IncompleteRequests } from "./server/limits/incomplete-requests.ts";
import { startGrpcServer } from "./server/grpc/grpc-server.ts";
import { startHttpServer } from "./server/http/http-server.ts";
import type { Peer } from "./server/peer.ts";
import { createPageHandler } from "./server/http/page.ts";
import { TlsCertificates } from "./server/tls/certificates.ts";
import { openAccess } from "./open-access.ts";
import { answerHealthz, createMetricsHandler, createReadyzHandler } from "./server/http/probes.ts";
import type { Sources } from "./sources.ts";
import { openSources } from "./sources.ts";
import { createLogger } from "./telemetry/logger.ts";
import type { AuditLogger, Logger } from "./telemetry/logger.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { SourceUnavailableError } from "./vehicle/errors.ts";
import { startSweeper } from "./vehicle/sweeper.ts";
import { VehicleLookup } from "./vehicle/vehicle-lookup.ts";
import { VERSION } from "./version.ts";

/** A running service. Dispose of it to stop at once; drain it before, to lose no call. */
export interface App extends AsyncDisposable {
  /** `host:port` of the gRPC listener. */
  readonly grpcAddress: string;
  /** `host:port` of the HTTP listener. */
  readonly httpAddress: string;
  /** Takes no new calls, and waits for those that run, at most this long. */
  drain(graceMs: number): Promise<void>;
}

/** Parts that tests replace. */
export interface Overrides {
  readonly logger?: AuditLogger;
  /** Wall clock, ms since the epoch. */
  readonly now?: () => number;
  /** How long whoever reads a stream or an export may take nothing, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number;
}

/**
 * Starts everything, in the order in which the parts build on each other. What was started is stopped again when a
 * later part cannot start.
 */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const { logger = createLogger(config.logLevel), now = Date.now, stallTimeoutMs = 30_000 } = overrides;
  const { host, freshness } = config;
  await using starting = new AsyncDisposableStack();

  const store = starting.use(await openVehicleStore({ databaseUrl: config.databaseUrl, logger, now }));
  const sources = starting.use(openSources(config, logger, VERSION));
  const lookup = new VehicleLookup({
    store,
    sources: sources.inOrder,
    freshness,
    patienceMs: config.vpic.patienceMs,
    onSourceFault: (source, error) => logSourceFault(logger, source.name, error),
    now,
  });
  starting.use(
    startSweeper({
      store,
      freshness,
      now,
      onSwept: (deleted) => logger.info("swept entries that can no longer be given", { deleted }),
      onFault: (err) => logger.warn("cannot sweep the cache", { err }),
    }),
  );

  const exports = starting.use(
    await VehicleExports.start({
      location: parseDatabaseUrl(config.databaseUrl),
      directory: join(config.dataDir, "exports"),
      service: VehicleService.typeName,
      version: VERSION,
      logger,
      stallMs: stallTimeoutMs,
    }),
  );

  const spool = starting.use(
    new ExportSpool({ create: (client, signal) => exports.createShared(client, signal), now }),
  );
  const answerExport = createExportHandler({ exports, spool, logger, stallMs: stallTimeoutMs });

  const { guard, shedder, isOwnHost } = starting.use(await openAccess(config, logger, now));
  const metrics = createMetrics({
    vpic: () => sources.vpicState(),
    cacheFaults: () => store.faults(),
    refusedShare: () => shedder.refusedShare,
  });

  const handlers = createVehicleHandlers({ lookup, exports, logger, now });
  const admission = createAdmission({ shedder, guard, logger });
  const mount = {
    interceptors: createInterceptors({ guard, logger }),
    services: [createServiceImplSpec<typeof VehicleService>(VehicleService, handlers)],
    connections: config.connections,
    // Behind a proxy all have one address.
    incomplete: new IncompleteRequests(
      config.connections.maxOpenPerAddress === Infinity ? { maxBytesPerAddress: Infinity } : {},
    ),
    limits: { methods: METHOD_LIMITS, defaults: { stallTimeoutMs } },
    types: DETAIL_TYPES,
    tls: starting.use(await openTls(config.tls, logger)),
    admitUnseen: (header: Headers, { address }: Peer) => void guard.admit(header.get("authorization"), address),
    contextValues: ({ address }: Peer) => createContextValues().set(callerKey, address),
    logger,
  };
  let isDraining = false;
  const grpc = starting.use(
    await startGrpcServer({
      ...mount,
      host,
      port: config.grpcPort,
      admission: admission.overGrpc,
    }),
  );
  const http = starting.use(
    await startHttpServer({
      ...mount,
      host,
      port: config.httpPort,
      admission: admission.overHttp,
      origins: config.access.origins,
      isOwnHost,
      handlers: {
        "GET /": createPageHandler(() => sources.describe()),
        "GET /export.parquet": createExportEndpoint({ guard, answer: answerExport, logger }),
        "GET /healthz": answerHealthz,
        "GET /metrics": createMetricsHandler(metrics),
        "GET /readyz": createReadyzHandler(
          () => isDraining,
          () => describeTrouble(store, sources),
        ),
      },
    }),
  );
  const secured = mount.tls === undefined ? {} : { tls: true };
  logger.info("listening", { grpc: grpc.address, http: http.address, ...secured });

  const running = starting.move();
  return {
    grpcAddress: grpc.address,
    httpAddress: http.address,
    async drain(graceMs) {
      isDraining = true;
      await Promise.all([grpc.drain(graceMs), http.drain(graceMs)]);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function openTls(
  { certFile, keyFile, clientCaFile }: TlsConfig,
  logger: Logger,
): Promise<TlsCertificates | undefined> {
  return certFile === undefined || keyFile === undefined
    ? undefined
    : TlsCertificates.open({ certFile, keyFile, clientCaFile, logger });
}

async function describeTrouble(store: OpenVehicleStore, sources: Sources): Promise<string | undefined> {
  const isCacheThere = await store.ping().then(
    () => true,
    () => false,
  );
  const breaker = sources.vpicState()?.breaker ?? "closed";
  const trouble = [
    ...(isCacheThere ? [] : ["the cache does not answer"]),
    ...(breaker === "closed" ? [] : [`vPIC's circuit breaker is ${breaker}`]),
  ];
  return trouble.length === 0 ? undefined : trouble.join("; ");
}

function logSourceFault(logger: Logger, source: string, err: unknown): void {
  if (err instanceof SourceUnavailableError) {
    logger.debug("a source cannot answer", { source, reason: err.message });
  } else {
    logger.error("a source failed", { source, err });
  }
}
