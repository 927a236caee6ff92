import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { createAuthority } from "../support/certificates.ts";
import { directoryWithSnapshot } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { ROOT } from "./documents.ts";

/** What a clone has and the samples need. */
const CLONED = [
  "LICENSE",
  "package.json",
  "package-lock.json",
  "buf.yaml",
  "tsconfig.json",
  "src",
  "proto",
  "gen",
  "examples",
];
/** A user's path: without the programs that npm adds for its scripts. */
const USER_PATH = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((directory) => !directory.includes("node_modules"))
  .join(delimiter);

/** A service that a command has started. */
interface Service {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly ports: { readonly grpc: string; readonly http: string };
}

/**
 * A clone with its packages installed, and a shell in it. The snapshot is its only source, so that nothing leaves
 * loopback. A service listens on free ports: commands and programs get these in place of 50051 and 8080.
 */
export class Shell implements AsyncDisposable {
  readonly directory: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #services: Service[] = [];
  readonly #examples = new Map<string, string>();
  readonly #resources: AsyncDisposableStack;

  private constructor(directory: string, resources: AsyncDisposableStack) {
    this.directory = directory;
    this.#resources = resources;
    this.#env = {
      PATH: USER_PATH,
      HOME: directory,
      // Programs start faster with code that an earlier process has compiled.
      NODE_COMPILE_CACHE: join(ROOT, "node_modules/.cache/compiled"),
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      SOURCES: "snapshot",
      // The launcher has nothing to install. If it tries, it fails at once.
      npm_config_offline: "true",
      npm_config_update_notifier: "false",
    };
  }

  static async open(): Promise<Shell> {
    await using starting = new AsyncDisposableStack();
    const { path } = starting.use(await temporaryDirectory());
    await Promise.all(CLONED.map((name) => cp(join(ROOT, name), join(path, name), { recursive: true })));
    await linkPackages(join(ROOT, "node_modules"), join(path, "node_modules"));
    await symlink(starting.use(await directoryWithSnapshot()).path, join(path, "data"));
    const authority = createAuthority();
    const { cert, key } = authority.issue("localhost");
    await writeFile(join(path, "ca.pem"), authority.cert);
    await writeFile(join(path, "server.pem"), cert);
    await writeFile(join(path, "server-key.pem"), key);
    return new Shell(path, starting.move());
  }

  /** Sets an environment variable for the commands that follow. */
  set(name: string, value: string): void {
    this.#env[name] = this.#withPorts(value);
  }

  /** Uses another text for an example in the commands that follow. */
  replace(example: string, text: string): void {
    this.#examples.set(example, text);
  }

  /** Writes a program to the file that its first line names, and gives this name. */
  async save(program: string): Promise<string> {
    const [, name = ""] = /^\/\/ (\S+)\n/.exec(program) ?? [];
    await mkdir(dirname(join(this.directory, name)), { recursive: true });
    await writeFile(join(this.directory, name), this.#withPorts(program));
    return name;
  }

  /**
   * Runs a command to its end, and gives what it has written.
   *
   * @throws Error when its exit code is not 0
   */
  async run(command: string): Promise<string> {
    const child = spawn("sh", ["-c", this.#withPorts(command)], {
      cwd: this.directory,
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr, [exitCode]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    if (exitCode !== 0) {
      throw new Error(`${command} ended with ${exitCode}: ${stderr}`);
    }
    return stdout + stderr;
  }

  /** Runs a command that starts a service, until it listens. Commands that follow use this service. */
  async start(command: string): Promise<void> {
    const child = spawn("sh", ["-c", this.#withPorts(command)], {
      cwd: this.directory,
      env: this.#env,
      stdio: ["ignore", "pipe", "inherit"],
      // A group of its own, so that it can be stopped as a terminal does it.
      detached: true,
    });
    for await (const line of createInterface(child.stdout)) {
      if (line.includes('"msg":"listening"')) {
        const { grpc, http }: { grpc: string; http: string } = JSON.parse(line);
        const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1);
        this.#services.push({ process: child, ports: { grpc: portOf(grpc), http: portOf(http) } });
        child.stdout.resume();
        return;
      }
    }
    throw new Error(`the service did not start: ${command}`);
  }

  /** Presses Ctrl-C where services were started, the last one first, until so many are left. */
  async stopAllBut(count: number): Promise<void> {
    for (const { process: child } of this.#services.splice(count).toReversed()) {
      const closed = once(child, "close");
      process.kill(-(child.pid ?? 0), "SIGINT");
      await closed;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAllBut(0);
    await this.#resources.disposeAsync();
  }

  #withPorts(text: string): string {
    const { grpc, http } = this.#services.at(-1)?.ports ?? { grpc: "50051", http: "8080" };
    const withExamples = this.#examples.entries().reduce((all, [from, to]) => all.replaceAll(from, to), text);
    return withExamples
      .replace(/^npm run export -- (?!--address)/, `npm run export -- --address http://127.0.0.1:${http} `)
      .replaceAll(/(127\.0\.0\.1|localhost):50051/g, `$1:${grpc}`)
      .replaceAll(/(127\.0\.0\.1|localhost):8080/g, `$1:${http}`);
  }
}

/** Makes a node_modules of links, so that a clone cannot change the packages of the checkout. */
async function linkPackages(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of await readdir(from)) {
    if (name.startsWith("@")) {
      await linkPackages(join(from, name), join(to, name));
    } else if (name === ".bin" || name === ".package-lock.json") {
      await cp(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
    } else if (!name.startsWith(".")) {
      await symlink(join(from, name), join(to, name));
    }
  }
}
