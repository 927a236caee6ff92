import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { errorOf } from "../support/error-of.ts";
import { eventually } from "../support/eventually.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { SteadyCalls } from "../support/steady-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const VINS = manyVins(200);

/** Only a hang takes so long: each test starts three processes, on a machine that may be busy. */
const HANG_MS = 600_000;
const CALL_HANG_MS = 120_000;

describe("a service with two workers", { timeout: HANG_MS }, () => {
  let stack: AsyncDisposableStack;
  let directory: string;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    directory = stack.use(await temporaryDirectory()).path;
  });

  afterEach(() => stack.disposeAsync());

  async function start(env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    return stack.use(await ServiceProcess.start({ DATA_DIR: directory, SOURCES: "snapshot", WORKERS: "2", ...env }));
  }

  test("unpacks the snapshot once, answers on both, and stops with 0", async () => {
    const service = await start();

    const answers = await Promise.all(VINS.map((vin) => lookUp(service, vin)));
    const exitCode = await service.stop();

    expect(answers.map(({ vin }) => vin)).toEqual(VINS);
    expect(exitCode).toBe(0);
    expect(service.log.find(({ msg }) => msg === "listening")).toMatchObject({
      workers: 2,
      sources: ["snapshot"],
      dataDate: expect.stringMatching(/^\d{4}-\d{2}/),
    });
    const messages = service.log.map(
      ({ msg, worker }) => `${typeof worker === "number" ? worker : "primary"}: ${String(msg)}`,
    );
    expect(messages.filter((message) => message.endsWith("snapshot ready")).toSorted()).toEqual([
      "1: snapshot ready",
      "2: snapshot ready",
      "primary: snapshot ready",
    ]);
    expect(messages.filter((message) => message.includes("unpacking"))).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/^\d/)]),
    );
    expect(messages.filter((message) => message.endsWith(": stopped")).toSorted()).toEqual([
      "1: stopped",
      "2: stopped",
      "primary: stopped",
    ]);
  });

  test("counts the calls of both, whichever is asked", async () => {
    const service = await start();

    for (const vin of VINS) {
      await lookUp(service, vin);
    }

    // For a worker that does not answer within a second, the sum has its previous counts.
    await eventually(async () => {
      const sums = await Promise.all([1, 2, 3, 4].map(() => handled(service)));
      expect(sums).toEqual([VINS.length, VINS.length, VINS.length, VINS.length]);
    });
  });

  test("limits a caller over both", async () => {
    const service = await start({ RATE_LIMIT_BURST: "50", RATE_LIMIT_PER_SECOND: "0.001" });
    const [vin = ""] = VINS;
    let answered = 0;
    const callOnce = async (): Promise<void> => {
      await lookUp(service, vin);
      answered++;
    };

    for (let call = 0; call < 50; call++) {
      await callOnce();
    }
    const refusal = await vi.waitFor(async () => errorOf(callOnce()), { timeout: 250_000, interval: 200 });

    expect(refusal.message).toContain("429");
    // With a limit for each, the two workers would have answered this many.
    expect(answered).toBeLessThan(100);
  });

  test("replaces one that is killed; only the calls that it held fail, and its counts stay", async () => {
    const service = await start();
    const [vin = ""] = VINS;
    await using calls = new SteadyCalls({
      first: () => lookUp(service, vin),
      second: () => lookUp(service, vin),
      third: () => lookUp(service, vin),
    });
    await calls.more(60);
    // Counts that have been read are kept.
    const before = await handled(service);

    process.kill(pidOf(service, 1), "SIGKILL");
    await service.logged("a worker died");
    // The next answer of each caller may be one that the killed worker gave and took along.
    await calls.more(1);
    await calls.more(20);
    const failures = await calls.stop();

    expect(failures.length).toBeLessThanOrEqual(3);
    // A connection that the killed worker was about to take must not stay open.
    expect(failures.filter((failure) => failure.includes("timeout"))).toEqual([]);
    await eventually(async () => expect(await handled(service)).toBeGreaterThanOrEqual(before + 60 - failures.length));
    await eventually(() => expect(pidOf(service, 3)).toBeGreaterThan(0));
    expect(await service.stop()).toBe(0);
  });

  test("ends with 1 when workers die again and again", async () => {
    const service = await start();

    for (let number = 1; number <= 5; number++) {
      const pid = await eventually(() => pidOf(service, number));
      process.kill(pid, "SIGKILL");
    }

    await service.logged("the service ends because too many workers died");
    expect(await service.exited()).toBe(1);
  });

  test("ends with 1 and one reason when a port is in use", async () => {
    const first = await start();
    const [, port = ""] = first.httpAddress.split(":");

    const second = await ServiceProcess.fail({
      DATA_DIR: directory,
      SOURCES: "snapshot",
      WORKERS: "2",
      HTTP_PORT: port,
    });

    expect(second.exitCode).toBe(1);
    expect(JSON.stringify(second.log)).toContain("cannot listen");
  });

  test("a Remove on one is seen by the other", async () => {
    const service = await start();
    const [vin = ""] = VINS;

    const seen: unknown[] = [];
    for (let round = 0; round < 10; round++) {
      await lookUp(service, vin);
      const cached = await lookUp(service, vin);
      await call(service, "Remove", vin);
      const again = await lookUp(service, vin);
      seen.push([cached.cached, again.cached]);
    }

    expect(seen).toEqual(Array.from({ length: 10 }, () => [true, undefined]));
  });
});

interface Answer {
  readonly vin: string;
  readonly cached?: boolean;
}

/** Calls over a new connection: connections go to the workers in turn. */
async function call(service: ServiceProcess, method: "Lookup" | "Remove", vin: string): Promise<Answer> {
  const response = await fetch(`http://${service.httpAddress}/vehicle.v1.VehicleService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify({ vin }),
    signal: AbortSignal.timeout(CALL_HANG_MS),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`${response.status} ${text}`);
  }
  const answer: Answer = JSON.parse(text);
  return answer;
}

async function lookUp(service: ServiceProcess, vin: string): Promise<Answer> {
  return call(service, "Lookup", vin);
}

/** How many calls of Lookup have ended, by the metrics. */
async function handled(service: ServiceProcess): Promise<number> {
  const response = await fetch(`http://${service.httpAddress}/metrics`, { headers: { connection: "close" } });
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("grpc_server_handled_total"));
  return lines
    .filter((line) => line.includes('"Lookup"'))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** @throws Error when that worker was not started yet. */
function pidOf(service: ServiceProcess, number: number): number {
  const line = service.log.find(({ msg, worker }) => msg === "started a worker" && worker === number);
  if (line === undefined) {
    throw new Error(`worker ${number} was not started`);
  }
  return Number(line["pid"]);
}
