import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));
const NODE_PACKAGE = `node_modules/node-${process.platform}-${process.arch}`;
const RUNTIME = { integrity: "sha512-a" };
const DEVELOPMENT = { integrity: "sha512-b", dev: true };
const FOREIGN = { integrity: "sha512-c", optional: true };

/** What package-lock.json of a project says. */
const LOCKED = {
  "": {},
  "node_modules/runtime": RUNTIME,
  "node_modules/development": DEVELOPMENT,
  "node_modules/foreign": FOREIGN,
};
const ONLY_RUNTIME = { "node_modules/runtime": RUNTIME };
const INSTALLED = { ...ONLY_RUNTIME, "node_modules/development": DEVELOPMENT };

/** npm as far as the launcher uses it: notes its arguments and what is in node_modules, and that it is done. */
const NPM = `#!/bin/sh
echo "$@" >> npm.log
ls node_modules >> found.log
cp next-installed.json node_modules/.package-lock.json
`;

/** A program that prints each signal it gets. It ends when the launcher has gone. */
const PRINT_SIGNALS = `
const launcher = process.ppid;
for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]) {
  process.on(signal, () => console.log(signal));
}
setInterval(() => {
  if (process.ppid !== launcher) process.exit();
}, 100);
console.log("ready");
`;

/** Holds a process at its very end until there is a file "go-on". */
const HOLD_END = `
process.on("exit", () => {
  const { existsSync, writeSync } = require("node:fs");
  writeSync(1, "about to end\\n");
  while (!existsSync("go-on")) {}
});
`;

interface ProjectOptions {
  /** What node_modules has according to npm. Default: all packages. */
  readonly installed?: object;
  /** Default: LOCKED. */
  readonly locked?: object;
  /** Default: one that installs everything. */
  readonly npm?: string;
  /** Whether the Node that runs the launcher can run the service. Default: true. */
  readonly nodeServes?: boolean;
  /** Default: >=20. */
  readonly engine?: string;
}

/** A project with the launcher in it, but packages and an npm of its own. */
class Project implements AsyncDisposable {
  readonly path: string;
  readonly #directory: AsyncDisposable;
  readonly #children: ChildProcessByStdio<null, Readable, Readable>[] = [];

  private constructor(directory: { readonly path: string } & AsyncDisposable) {
    this.path = directory.path;
    this.#directory = directory;
  }

  static async create(options: ProjectOptions = {}): Promise<Project> {
    const project = new Project(await temporaryDirectory());
    const { installed = INSTALLED, locked = LOCKED, npm = NPM, nodeServes = true, engine = ">=20" } = options;
    for (const file of ["launch.js", "install.js", "node-version.js"]) {
      await cp(join(SOURCE, file), join(project.path, "src", file));
    }
    if (!nodeServes) {
      await project.write("src/node-version.js", `export const nodeFault = () => "this Node does not serve";`);
    }
    const manifest = { type: "module", engines: { node: engine }, config: { nodeFlags: "--stack-size=900 --no-opt" } };
    await project.write("package.json", JSON.stringify(manifest));
    await project.write("package-lock.json", JSON.stringify({ packages: locked }));
    await project.write("node_modules/.package-lock.json", JSON.stringify({ packages: installed }));
    await project.write("next-installed.json", JSON.stringify({ packages: locked }));
    await project.write("bin/npm", npm);
    return project;
  }

  async write(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(this.path, path)), { recursive: true });
    await writeFile(join(this.path, path), content, { mode: 0o755 });
  }

  /** The lines of a file; none when it is missing. */
  async linesOf(path: string): Promise<string[]> {
    const content = await readFile(join(this.path, path), "utf8").catch(() => "");
    return content.split("\n").filter((line) => line !== "");
  }

  spawn(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
    return this.spawnWith({}, ...args);
  }

  spawnWith(env: NodeJS.ProcessEnv, ...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
    const child = spawn(process.execPath, ["src/launch.js", ...args], {
      cwd: this.path,
      env: { PATH: [join(this.path, "bin"), process.env["PATH"]].join(delimiter), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    return child;
  }

  /** Runs the launcher to its end. */
  async launch(...args: string[]): Promise<Result> {
    return resultOf(this.spawn(...args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
    }
    await this.#directory[Symbol.asyncDispose]();
  }
}

interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function resultOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Result> {
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}

/** Waits until a stream has had this text. */
async function seen(stream: Readable, wanted: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let all = "";
  stream.on("data", (chunk: Buffer) => {
    all += chunk.toString();
    if (all.includes(wanted)) {
      resolve();
    }
  });
  stream.on("end", () => reject(new Error(`expected ${wanted} and got ${all}`)));
  await promise;
}

describe("the launcher", () => {
  test("starts the service with node's flags when told nothing", async () => {
    await using project = await Project.create();
    await project.write("src/main.ts", `const flags: string[] = process.execArgv; console.log(...flags);`);

    const result = await project.launch();

    expect(result).toEqual({ code: 0, signal: null, stdout: "--stack-size=900 --no-opt\n", stderr: "" });
  });

  test("runs a program with its arguments and without the flags", async () => {
    await using project = await Project.create();

    const { stdout } = await project.launch("node", "-p", "process.execArgv.length + process.argv[1]", "a b");

    expect(stdout).toBe("2a b\n");
  });

  test.each([
    ["keeps compiled code in the project's cache", {}, "node_modules/.cache/compiled"],
    ["keeps compiled code where the user wants it", { NODE_COMPILE_CACHE: "mine" }, "mine"],
  ])("%s", async (_, env, expected) => {
    await using project = await Project.create();

    const { stdout } = await resultOf(project.spawnWith(env, "node", "-p", "process.env.NODE_COMPILE_CACHE"));

    expect(relative(project.path, resolve(project.path, stdout.trim()))).toBe(expected);
  });

  test("uses the Node that runs it when that one serves", async () => {
    await using project = await Project.create();
    await project.write(`${NODE_PACKAGE}/bin/node`, "#!/bin/sh\necho from the packages\n");

    const { stdout } = await project.launch("node", "-p", "process.execPath");

    expect(stdout).toBe(`${process.execPath}\n`);
  });

  test("uses the Node of the packages when the one that runs it does not serve", async () => {
    await using project = await Project.create({ nodeServes: false });
    await project.write(`${NODE_PACKAGE}/bin/node`, `#!/bin/sh\necho from the packages: "$@"\n`);

    const { stdout } = await project.launch();

    expect(stdout).toBe(`from the packages: --stack-size=900 --no-opt ${project.path}/src/main.ts\n`);
  });

  test("gives tools the same Node, whether npm has linked it or not", async () => {
    await using project = await Project.create({ nodeServes: false });
    await project.write(`${NODE_PACKAGE}/bin/node`, `#!/bin/sh\necho from the packages: "$@"\n`);
    await project.write("node_modules/.bin/tool", "#!/usr/bin/env node\n");

    const { stdout } = await project.launch("tool", "--check");

    expect(stdout).toBe(`from the packages: ${project.path}/node_modules/.bin/tool --check\n`);
    expect(await readlink(join(project.path, "node_modules/.bin/node"))).toBe(`../${NODE_PACKAGE.slice(13)}/bin/node`);
  });

  test("says in one line what is wrong when no Node serves", async () => {
    await using project = await Project.create({ nodeServes: false });

    const result = await project.launch();

    expect(result).toEqual({ code: 1, signal: null, stdout: "", stderr: "this Node does not serve\n" });
  });

  test("says in one line that a Node is too old", async () => {
    await using project = await Project.create({ engine: ">=99", installed: {} });

    const result = await project.launch();

    const line = `Node ${process.versions.node} is too old; use Node 99 or later\n`;
    expect(result).toEqual({ code: 1, signal: null, stdout: "", stderr: line });
  });

  test("says in one line that a program is missing", async () => {
    await using project = await Project.create();

    const result = await project.launch("no-such-program");

    const line = "Cannot run no-such-program: spawn no-such-program ENOENT\n";
    expect(result).toEqual({ code: 1, signal: null, stdout: "", stderr: line });
  });

  test("ends with the program's exit code", async () => {
    await using project = await Project.create();

    const { code } = await project.launch("node", "-e", "process.exitCode = 7");

    expect(code).toBe(7);
  });

  test("ends by the signal that ended the program", async () => {
    await using project = await Project.create();

    const { signal } = await project.launch("node", "-e", "process.kill(process.pid, 'SIGKILL')");

    expect(signal).toBe("SIGKILL");
  });

  test("passes each signal on, and only once: npm sends its own copy of a Ctrl-C, which the terminal has sent", async () => {
    await using project = await Project.create();
    const child = project.spawn("node", "-e", PRINT_SIGNALS);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const nextLine = async (): Promise<string> => (await lines.next()).value ?? "no more";
    const printed = [await nextLine()];

    for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT"] as const) {
      child.kill(signal);
      printed.push(await nextLine());
      child.kill(signal);
    }
    child.kill("SIGTERM");
    printed.push(await nextLine());

    expect(printed).toEqual(["ready", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]);
  });

  test("ends with the program's exit code when a signal comes after the program's end", async () => {
    await using project = await Project.create();
    await project.write("hold-end.cjs", HOLD_END);
    const child = project.spawnWith({ NODE_OPTIONS: `--require=${join(project.path, "hold-end.cjs")}` }, "true");
    await seen(child.stdout, "about to end");

    const result = resultOf(child);
    child.kill("SIGINT");
    await project.write("go-on", "");

    expect(await result).toMatchObject({ code: 0, signal: null });
  });
});

describe("the launcher's installation", () => {
  test("leaves out the development packages, and does not write to standard output", async () => {
    await using project = await Project.create({ installed: {}, npm: `${NPM}\necho npm was here\n` });

    const { stdout, stderr } = await project.launch("echo", "done");

    expect(stdout).toBe("done\n");
    expect(stderr).toBe("Installing packages. This can take a minute.\nnpm was here\n");
    expect(await project.linesOf("npm.log")).toEqual([expect.stringMatching(/^install --no-save --omit=dev /)]);
  });

  test("does not run npm when the packages are there", async () => {
    await using project = await Project.create({ installed: ONLY_RUNTIME });

    const result = await project.launch("echo", "done");

    expect(result).toEqual({ code: 0, signal: null, stdout: "done\n", stderr: "" });
    expect(await project.linesOf("npm.log")).toEqual([]);
  });

  test("adds the development packages for what needs them", async () => {
    await using project = await Project.create({ installed: ONLY_RUNTIME });

    const { stdout } = await project.launch("--dev", "echo", "done");

    expect(stdout).toBe("done\n");
    expect(await project.linesOf("npm.log")).toEqual([expect.stringMatching(/^install --no-save --include=dev /)]);
  });

  test("keeps the development packages when another version of a package is needed", async () => {
    const locked = { ...LOCKED, "node_modules/runtime": { integrity: "sha512-new" } };
    await using project = await Project.create({ locked });

    await project.launch("true");

    expect(await project.linesOf("npm.log")).toEqual([expect.stringMatching(/^install --no-save --include=dev /)]);
  });

  test("installs the Node that comes with the packages when it is missing and needed", async () => {
    await using project = await Project.create({
      nodeServes: false,
      locked: { ...LOCKED, [NODE_PACKAGE]: { integrity: "sha512-d", optional: true } },
    });

    await project.launch("true");

    expect(await project.linesOf("npm.log")).toHaveLength(1);
  });

  test("removes what an interrupted installation left, and nothing else", async () => {
    await using project = await Project.create({ installed: ONLY_RUNTIME });
    await project.write("node_modules/development/half.js", "");
    await project.write("node_modules/runtime/whole.js", "");

    await project.launch("--dev", "true");

    expect(await project.linesOf("found.log")).toEqual(["runtime"]);
  });

  test("does not leave a link to a Node that is written in part", async () => {
    await using project = await Project.create({
      nodeServes: false,
      installed: {},
      locked: { ...LOCKED, [NODE_PACKAGE]: { integrity: "sha512-d", optional: true } },
      npm: `#!/bin/sh\nmkdir -p ${NODE_PACKAGE}/bin && echo half > ${NODE_PACKAGE}/bin/node\nexit 7\n`,
    });
    const link = join(project.path, "node_modules/.bin/node");
    await project.write(`${NODE_PACKAGE}/bin/node`, "half");
    await mkdir(dirname(link));
    await symlink(`../../${NODE_PACKAGE}/bin/node`, link);

    const { code } = await project.launch("true");

    expect(code).toBe(7);
    await expect(readlink(link)).rejects.toThrow("ENOENT");
  });

  test("is tried again after a failure", async () => {
    await using project = await Project.create({ installed: {}, npm: "#!/bin/sh\necho no network >&2\nexit 7\n" });

    const failed = await project.launch("echo", "done");
    await project.write("bin/npm", NPM);
    const repeated = await project.launch("echo", "done");

    expect(failed).toMatchObject({ code: 7, stdout: "" });
    expect(failed.stderr).toContain("no network\nThe packages could not be installed.\n");
    expect(repeated).toMatchObject({ code: 0, stdout: "done\n" });
  });

  test("runs once when two start at the same time", async () => {
    // npm waits at a gate that the test opens.
    await using project = await Project.create({ installed: {}, npm: NPM.replace("\n", "\nread line < gate\n") });
    await once(spawn("mkfifo", [join(project.path, "gate")]), "exit");
    const first = project.spawn("true");
    await seen(first.stderr, "Installing packages.");
    const second = project.spawn("true");
    await seen(second.stderr, "Waiting for another process to install the packages.");

    const results = Promise.all([resultOf(first), resultOf(second)]);
    await project.write("gate", "open\n");

    expect((await results).map(({ code }) => code)).toEqual([0, 0]);
    expect(await project.linesOf("npm.log")).toHaveLength(1);
  });

  test("does not wait for a process that has died", async () => {
    await using project = await Project.create({ installed: {} });
    const dead = spawn("true");
    await once(dead, "exit");
    await symlink(String(dead.pid), join(project.path, "node_modules/.installing"));

    const { code } = await project.launch("true");

    expect(code).toBe(0);
    expect(await project.linesOf("npm.log")).toHaveLength(1);
  });
});
