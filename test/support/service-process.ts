import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Interface } from "node:readline";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The part of package.json used here. */
interface Manifest {
  readonly scripts: { readonly start: string };
  readonly config?: { readonly nodeFlags?: string };
}

/** The service in its own process. Dispose of it to stop it. */
export class ServiceProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: Interface;
  readonly #exit: Promise<number | null>;
  /** The parsed log lines so far. */
  readonly log: Record<string, unknown>[] = [];
  /** Its standard error so far. */
  stderr = "";
  /** `host:port`, once listening. */
  grpcAddress = "";
  /** `host:port`, once listening. */
  httpAddress = "";

  private constructor(env: Readonly<Record<string, string>>, checkout = ROOT, entry = "src/main.ts") {
    this.#child = spawn(process.execPath, [...nodeFlagsOf(checkout), entry], {
      cwd: checkout,
      env: {
        PATH: process.env["PATH"],
        // As the launcher sets it.
        NODE_COMPILE_CACHE: join(checkout, "node_modules/.cache/compiled"),
        GRPC_PORT: "0",
        HTTP_PORT: "0",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exit = once(this.#child, "exit").then(([code]: (number | null)[]) => code ?? null);
    this.#lines = createInterface(this.#child.stdout);
    this.#child.stderr.on("data", (data: Buffer) => {
      this.stderr += data.toString();
    });
  }

  /**
   * Starts it and waits until it listens. Ports are free ones unless given.
   *
   * @param checkout directory of the version to start. Default: this one.
   * @param entry the file that starts it. Default: that of `npm start`.
   */
  static async start(
    env: Readonly<Record<string, string>>,
    checkout?: string,
    entry?: string,
  ): Promise<ServiceProcess> {
    const service = new ServiceProcess(env, checkout, entry);
    const isListening = await service.#readLogUntilListening();
    if (!isListening) {
      throw new Error(`the service did not start: ${service.stderr} ${JSON.stringify(service.log)}`);
    }
    return service;
  }

  /** Starts a service that is expected not to start, and waits for its end. */
  static async fail(env: Readonly<Record<string, string>>): Promise<ServiceProcess & { exitCode: number | null }> {
    const service = new ServiceProcess(env);
    await service.#readLogUntilListening();
    return Object.assign(service, { exitCode: await service.#exit });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until it has logged this message. */
  async logged(message: string): Promise<void> {
    while (!this.log.some(({ msg }) => msg === message)) {
      await once(this.#lines, "line");
    }
  }

  /** Sends a signal and waits for the end. Returns the exit code, null when killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal);
    return this.#exit;
  }

  /** Waits for the end. Returns the exit code, null when killed. */
  async exited(): Promise<number | null> {
    return this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }

  async #readLogUntilListening(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#lines.on("line", (line) => {
      const entry: unknown = JSON.parse(line);
      if (!isRecord(entry)) {
        throw new Error(`not a log line: ${line}`);
      }
      this.log.push(entry);
      if (entry["msg"] === "listening") {
        this.grpcAddress = String(entry["grpc"]);
        this.httpAddress = String(entry["http"]);
        resolve(true);
      }
    });
    void this.#exit.then(() => resolve(false));
    return promise;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Node's flags of `npm start`. They bound the service's memory, so tests run with them too. */
function nodeFlagsOf(checkout: string): string[] {
  const manifest: Manifest = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  const flags = manifest.config?.nodeFlags ?? /exec node (.*) src\/main\.ts/.exec(manifest.scripts.start)?.[1] ?? "";
  return flags.split(" ").filter((flag) => flag !== "");
}
