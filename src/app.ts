import type { Socket } from "node:net";
import { join } from "node:path";
import { createServiceImplSpec } from "@connectrpc/connect";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "#gen/health/v1/health_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { openAccess } from "./access/open-access.ts";
import { parseDatabaseUrl } from "./cache/database-url.ts";
import type { Config, TlsConfig } from "./config.ts";
import { ExportSpool } from "./export/export-spool.ts";
import { VehicleExports } from "./export/vehicle-exports.ts";
import { createDecodeHandler } from "./facade/decode-handler.ts";
import { createOpenApiHandler } from "./facade/openapi-handler.ts";
import { VpicDecoder } from "./facade/vpic-decoder.ts";
import { createVpicBatchHandler, createVpicLookupHandler } from "./facade/vpic-handler.ts";
import { openLookup } from "./open-lookup.ts";
import { preparedRefusal } from "./rpc/describe-error.ts";
import { Readiness } from "./readiness.ts";
import { createHealthService } from "./rpc/health.ts";
import { createGate, createInterceptors } from "./rpc/interceptors.ts";
import { servedMethods } from "./rpc/methods.ts";
import { observeCalls } from "./rpc/observe-calls.ts";
import { createReflectionHandlers } from "./rpc/reflection.ts";
import type { VehicleHandlersOptions } from "./rpc/vehicle-handlers.ts";
import { createLookupCounter, createVehicleHandlers } from "./rpc/vehicle-handlers.ts";
import { ConnectionGate } from "./server/connection-gate.ts";
import { createExportHandler } from "./server/export.ts";
import { createPageHandler } from "./server/page.ts";
import { createHealthzHandler, createMetricsHandler, createReadyzHandler } from "./server/probes.ts";
import type { ServerLimits } from "./server/server.ts";
import { Server } from "./server/server.ts";
import { createStatusHandler } from "./server/status.ts";
import { TlsCertificates } from "./server/tls.ts";
import { createLogger } from "./telemetry/logger.ts";
import type { AuditLogger, Logger } from "./telemetry/logger.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { inBackground } from "./telemetry/in-background.ts";
import { openTracing, traceAttempt } from "./tracing.ts";
import { startSweeper } from "./vehicle/sweeper.ts";
import { VERSION } from "./version.ts";
import type { Worker } from "./worker.ts";

/** A running service. Dispose of it to stop at once. Drain it first to lose no calls. */
export interface App extends AsyncDisposable {
  /**
   * Listens on both ports. Otherwise the app serves only connections passed to {@link accept}.
   *
   * @throws ListenError when an address is unavailable
   */
  listen(): Promise<ListeningAddresses>;
  /** Serves a connection that another process has accepted. */
  accept(socket: Socket): void;
  /** The month or day of the snapshot's data; undefined without a snapshot. */
  dataDate(): string | undefined;
  /**
   * Reports that the service is stopping, then refuses new calls and waits at most this long for the running ones.
   *
   * @param delay new calls and connections are still accepted until it resolves, so that load balancers can notice.
   */
  drain(graceMs: number, delay?: Promise<unknown>): Promise<void>;
}

/** `host:port` of each listener. */
export interface ListeningAddresses {
  readonly grpc: string;
  readonly http: string;
}

/** Parts that tests replace. */
export interface Overrides {
  readonly logger?: AuditLogger;
  /** Wall clock, ms since the epoch. */
  readonly now?: () => number;
  /** How long a client may read nothing of a stream or an export, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number;
  /** Time limits of connections and requests, and how often they are checked. */
  readonly limits?: ServerLimits;
  /** How long a Lookup waits for the database, in ms. Default: see `openVehicleStore`. */
  readonly databaseTimeoutMs?: number;
  /** This process as one of several; undefined when it serves alone. */
  readonly worker?: Worker | undefined;
}

/** How old counts of the cache may be in the metrics, in ms. */
const COUNT_EVERY_MS = 60_000;

/** Starts all parts in the order of their dependencies. If one cannot start, those before it are stopped. */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const {
    logger = createLogger(config.logLevel, undefined, null, config.logVins),
    now = Date.now,
    stallTimeoutMs = 30_000,
    limits = {},
  } = overrides;
  const { host, freshness } = config;
  const { worker } = overrides;
  const processes = worker === undefined ? 1 : config.workers;
  await using starting = new AsyncDisposableStack();

  const connections = new ConnectionGate({ limits: config.connections, processes, logger });
  const metrics = createMetrics({
    version: VERSION,
    vpic: () => sources.vpicState(),
    snapshotDataDate: () => sources.snapshotDataDate(),
    cache: () => ({ isUp: store.isUp, faults: store.faults(), contents: latestContents() }),
    calls: () => server.calls,
    connections: () => connections,
    tokens: () => tokens && { count: tokens.book.size, isFileFaulty: tokens.isFaulty },
    health: () => readiness,
    certificate: () => tls && { validTo: tls.validTo, areFilesFaulty: tls.isFaulty },
  });
  const { store, sources, lookup } = starting.use(
    await openLookup(config, {
      logger,
      onVpicAttempt(attempt) {
        const { outcome, durationMs } = attempt;
        metrics.askedVpic(outcome, durationMs / 1_000);
        traceAttempt(attempt, config.vpic.url);
        if (outcome === "answered") {
          readiness.noteAnswer();
        }
      },
      now,
      processes,
      databaseTimeoutMs: overrides.databaseTimeoutMs,
    }),
  );
  const latestContents = inBackground(COUNT_EVERY_MS, () => store.contents());
  latestContents();
  starting.use(
    startSweeper({
      store,
      freshness,
      now,
      onSwept: (deleted) => logger.info("swept expired entries", { deleted }),
      onFault: (err) => logger.warn("cannot delete expired entries", { err }),
    }),
  );

  const exports = starting.use(
    await VehicleExports.start({
      location: parseDatabaseUrl(config.databaseUrl),
      directory: join(config.dataDir, "exports"),
      service: VehicleService.typeName,
      version: VERSION,
      processes,
      logger,
      faultReporter: () => store.faultReporter(),
      onWritten: (file) => metrics.exported(file),
    }),
  );

  const spool = starting.use(new ExportSpool({ create: (client, signal) => exports.createShared(client, signal) }));
  const hasTls = config.tls.certFile !== undefined;
  const { guard, isOwnHost, tokens } = starting.use(
    await openAccess({ ...config.access, host, hasTls, exchange: worker, logger, now }),
  );
  const onLookup: VehicleHandlersOptions["onLookup"] = (result, source) => metrics.lookedUp(result, source);
  const counter = createLookupCounter(onLookup);
  const vpicDecoder = new VpicDecoder({
    lookup,
    vpic: sources.inOrder.find(({ name }) => name === "vpic"),
    counter,
  });
  const handlers = createVehicleHandlers({
    lookup,
    exports,
    logger,
    now,
    onLookup,
  });
  const health = createHealthService([VehicleService.typeName]);
  const reflection = createReflectionHandlers([VehicleService, Health]);
  const methods = servedMethods([
    createServiceImplSpec<typeof VehicleService>(VehicleService, handlers),
    createServiceImplSpec<typeof Health>(Health, health.handlers),
    createServiceImplSpec<typeof ServerReflection>(ServerReflection, reflection.v1),
    createServiceImplSpec<typeof ServerReflectionAlpha>(ServerReflectionAlpha, reflection.v1alpha),
  ]);
  const tls = starting.use(await openTls(config.tls, logger));
  const readiness: Readiness = starting.use(
    new Readiness({
      requireDatabase: config.requireDatabase,
      isCacheUp: () => store.isUp,
      breaker: () => sources.vpicState()?.breaker,
      vpic: sources.inOrder.find(({ name }) => name === "vpic"),
      snapshot: () => sources.snapshotStatus(),
      isTokensFileFaulty: () => tokens?.isFaulty ?? false,
      areTlsFilesFaulty: () => tls?.isFaulty ?? false,
      onChange: (isReady) => health.setServing(isReady),
    }),
  );
  const observer = observeCalls(metrics, logger, config.logSlowCallsMs);
  const tracing =
    config.openTelemetry && starting.use(await openTracing(config.openTelemetry, { metrics, logger, hasTls }));
  const server: Server = starting.use(
    new Server({
      methods,
      interceptors: [...(tracing?.interceptors ?? []), ...createInterceptors({ guard, logger })],
      gate: createGate({ guard, logger }),
      overloaded: preparedRefusal({ reason: "OVERLOADED", retryAfterMs: 1_000 }),
      connections,
      maxCalls: Math.ceil(config.maxCallsInFlight / processes),
      tls,
      origins: config.access.origins,
      isOwnHost,
      logger,
      ...(tracing === undefined ? observer : tracing.observe(observer)),
      plain: (host) => ({
        "GET /": createPageHandler(),
        "POST /decode": createDecodeHandler({
          lookup,
          guard,
          host,
          counter,
          directory: join(config.dataDir, "exports"),
          stallTimeoutMs,
        }),
        "GET /api/vehicles/*": createVpicLookupHandler({ decoder: vpicDecoder, guard, host, now }),
        "POST /api/vehicles/*": createVpicBatchHandler({ decoder: vpicDecoder, guard, host, now }),
        "GET /export.parquet": createExportHandler({ exports, spool, host }),
        "GET /openapi.json": createOpenApiHandler(),
        "GET /healthz": createHealthzHandler(VERSION),
        "GET /metrics": createMetricsHandler(
          worker === undefined ? metrics : { ...metrics, render: () => worker.metricsOfAll() },
        ),
        "GET /status": createStatusHandler({
          version: VERSION,
          guard,
          sources: config.sources,
          snapshot: () => sources.snapshotStatus(),
          isEmbedded: config.snapshotPath === undefined,
          workers: processes,
          cache: () => store.contents(),
        }),
        "GET /readyz": createReadyzHandler(readiness),
      }),
      limits: { ...limits, watch: { stallTimeoutMs, ...limits.watch } },
    }),
  );
  worker?.onRead(() => metrics.read());

  const running = starting.move();
  return {
    listen: async () => ({
      grpc: await server.listen("GRPC_PORT", host, config.grpcPort),
      http: await server.listen("HTTP_PORT", host, config.httpPort),
    }),
    accept: (socket) => server.accept(socket),
    dataDate: () => sources.snapshotDataDate(),
    async drain(graceMs, delay) {
      readiness.stop();
      health.stopServing();
      await delay;
      await server.drain(graceMs);
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
