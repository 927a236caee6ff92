import { once } from "node:events";
import { createServer } from "node:http";
import { portOf } from "../../support/port-of.ts";
import type { Contender, Throughput } from "./compare.ts";
import { compare } from "./compare.ts";
import { hasH2load, runH2load } from "./h2load.ts";
import type { Load, Shape, Target } from "./load.ts";
import type { Processes } from "./processes.ts";
import type { Section } from "./report.ts";
import type { Scale } from "./scale.ts";
import type { Service } from "./service.ts";
import type { Yardstick } from "./yardstick.ts";

const GRPC_SHAPE = { connections: 4, callsEach: 16 };
const CONNECT_SHAPE = { connections: 16, callsEach: 1 };
const BEFORE = "the version before";
const WITHOUT_TRACING = "the same without it";

/** Compares a cached Lookup over gRPC with a grpc-js server and a bare HTTP/2 server. */
export async function measureGrpc(processes: Processes, scale: Scale): Promise<Section[]> {
  const generator = await startGenerator(processes);
  const service = await processes.startService();
  const contenders = [
    contenderOf("the service", service, service.target("gRPC"), GRPC_SHAPE, generator),
    yardstickOf(await processes.startYardstick("grpc-js"), "gRPC", GRPC_SHAPE, generator),
    yardstickOf(await processes.startYardstick("node:http2"), "gRPC", GRPC_SHAPE, generator),
  ] as const;
  const goals = [
    { yardstick: "grpc-js", throughput: 1, cpuToo: true },
    { yardstick: "node:http2", throughput: 0.5 },
  ];
  return [await compare("cached Lookup, gRPC", contenders, goals, scale)];
}

/** Compares a cached Lookup over Connect with JSON and HTTP/1.1 with a bare JSON server. */
export async function measureConnect(processes: Processes, scale: Scale): Promise<Section[]> {
  const generator = await startGenerator(processes);
  const service = await processes.startService();
  const contenders = [
    contenderOf("the service", service, service.target("Connect"), CONNECT_SHAPE, generator),
    yardstickOf(await processes.startYardstick("node:http"), "Connect", CONNECT_SHAPE, generator),
  ] as const;
  const goals = [{ yardstick: "node:http", throughput: 0.22 }];
  return [await compare("cached Lookup, Connect JSON over HTTP/1.1", contenders, goals, scale)];
}

/**
 * A cached Lookup over gRPC-Web, HTTP/2 and TLS, as browsers make it.
 *
 * @param before directory of an older version to compare with; without it, there is no target
 */
export async function measureGrpcWeb(
  processes: Processes,
  scale: Scale,
  before: string | undefined,
): Promise<Section[]> {
  const what = "cached Lookup, gRPC-Web over HTTP/2 with TLS";
  const generator = await startGenerator(processes);
  const service = await processes.startService({ isSecured: true });
  const own = contenderOf("the service", service, service.target("gRPC-Web"), GRPC_SHAPE, generator);
  if (before === undefined) {
    return [await compare(what, [own], [], scale)];
  }
  const older = await processes.startService({ isSecured: true, checkout: before });
  const contenders = [own, contenderOf(BEFORE, older, older.target("gRPC-Web"), GRPC_SHAPE, generator)] as const;
  return [await compare(what, contenders, [{ yardstick: BEFORE, throughput: 2.5 }], scale)];
}

/** Compares a cached Lookup over gRPC with and without OpenTelemetry, which records 1 % of the calls. */
export async function measureTracing(processes: Processes, scale: Scale): Promise<Section[]> {
  const generator = await startGenerator(processes);
  await using collector = await startCollector();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0.01",
  };
  const [traced, plain] = [await processes.startService({ env }), await processes.startService()];
  const contenders = [
    contenderOf("with OpenTelemetry", traced, traced.target("gRPC"), GRPC_SHAPE, generator),
    contenderOf(WITHOUT_TRACING, plain, plain.target("gRPC"), GRPC_SHAPE, generator),
  ] as const;
  const goals = [{ yardstick: WITHOUT_TRACING, throughput: 0.9, cpuToo: true }];
  return [await compare("cached Lookup, gRPC, with OpenTelemetry and a sampler of 1 %", contenders, goals, scale)];
}

/** A collector on loopback that drops what it gets. */
async function startCollector(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("content-type", "application/json").end("{}"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Makes cached Lookups in a closed loop. */
type Generator = (target: Target, shape: Shape, seconds: number) => Promise<Throughput>;

async function startGenerator(processes: Processes): Promise<Generator> {
  if (await hasH2load()) {
    return (target, shape, seconds) => runH2load({ target, ...shape }, seconds);
  }
  const load = await processes.startLoad();
  return (target, shape, seconds) => runLoad(load, target, shape, seconds);
}

async function runLoad(load: Load, target: Target, shape: Shape, seconds: number): Promise<Throughput> {
  const pace = { kind: "closed", seconds } as const;
  const { good, goodPerSecond, refused, lost } = await load.run({ target, request: "cached Lookup", ...shape, pace });
  return { calls: good.count, callsPerSecond: goodPerSecond, failed: refused + lost };
}

function contenderOf(name: string, { pid }: Service, target: Target, shape: Shape, generate: Generator): Contender {
  return { name, pid, load: (seconds) => generate(target, shape, seconds) };
}

function yardstickOf(
  { kind, pid, address }: Yardstick,
  protocol: Target["protocol"],
  shape: Shape,
  generate: Generator,
): Contender {
  return { name: kind, pid, load: (seconds) => generate({ protocol, address }, shape, seconds) };
}
