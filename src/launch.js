// Runs a program on a Node that serves, with the packages it needs:
//
//   node src/launch.js                        the service
//   node src/launch.js PROGRAM [ARG...]       a program, such as node
//   node src/launch.js --dev PROGRAM [ARG...] a program that needs the development packages, such as vitest
//
// Any Node must be able to parse this file, so that an old one can report that it is too old.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { nodeFault } from "./node-version.js";

/** @typedef {import("./install.js").Ending} Ending */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SIGNALS = /** @type {const} */ (["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]);

/** The package with a Node binary for this platform, if there is one. */
const NODE_PACKAGE = `node-${process.platform}-${process.arch}`;

void main();

async function main() {
  const { config, engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const [oldest] = engines.node.match(/\d+/);
  if (Number.parseInt(process.versions.node, 10) < Number(oldest)) {
    fail(`Node ${process.versions.node} is too old; use Node ${oldest} or later`);
    return;
  }

  const argv = process.argv.slice(2);
  const withDev = argv[0] === "--dev";
  const fault = nodeFault(process.versions.node);
  const { install } = await import("./install.js");
  const installed = await install({
    root: ROOT,
    withDev,
    nodePackage: fault === undefined ? undefined : NODE_PACKAGE,
    // Standard output is reserved for the program.
    run: (program, args) => run(program, args, { cwd: ROOT, stdio: ["ignore", 2, 2] }),
  });
  // Until the program runs, a signal ends the launcher, because there is no process to pass it on to.
  stopPassing();
  if (installed.code !== 0) {
    fail("The packages could not be installed.");
    endAs(installed);
    return;
  }

  const nodeDirectory =
    fault === undefined ? dirname(process.execPath) : join(ROOT, "node_modules", NODE_PACKAGE, "bin");
  if (fault !== undefined && !existsSync(nodeDirectory)) {
    fail(fault);
    return;
  }
  const service = ["node", ...config.nodeFlags.split(" "), join(ROOT, "src", "main.ts")];
  const command = withDev ? argv.slice(1) : argv;
  const [program, ...args] = command.length > 0 ? command : service;
  const path = [join(ROOT, "node_modules", ".bin"), nodeDirectory, process.env.PATH].join(delimiter);
  const compiled = join(ROOT, "node_modules", ".cache", "compiled");
  // The service enables this cache itself, but too late for its first file. Without the cache, Node loads a compiler for
  // TypeScript, which takes 14 MB of memory. The tools of development would fill the cache with their own code.
  const cache = withDev ? {} : { NODE_COMPILE_CACHE: compiled };
  const env = { ...cache, ...process.env, PATH: path };
  endAs(await run(program, args, { env, stdio: "inherit" }));
}

/**
 * Runs a program to its end and passes each signal on to it once. A terminal sends Ctrl-C to all processes, and npm
 * sends a copy that may arrive late. A copy that arrives after the end has no effect.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions} options
 * @returns {Promise<Ending>}
 */
function run(program, args, options) {
  return new Promise((resolve) => {
    const child = spawn(program, args, options);
    /** @type {Set<NodeJS.Signals>} */
    const passed = new Set();
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (!passed.has(signal)) {
          passed.add(signal);
          child.kill(signal);
        }
      });
    }
    child.on("exit", (code, signal) => resolve({ code, signal }));
    child.on("error", (error) => {
      process.stderr.write(`Cannot run ${program}: ${error.message}\n`);
      resolve({ code: 1, signal: null });
    });
  });
}

/** Lets signals end this process again. */
function stopPassing() {
  for (const signal of SIGNALS) {
    process.removeAllListeners(signal);
  }
}

/**
 * Ends this process in the same way as the program.
 *
 * @param {Ending} ending
 */
function endAs({ code, signal }) {
  if (signal === null) {
    process.exitCode = code === null ? 1 : code;
  } else {
    // Process 1 of a container survives its own signal.
    process.exitCode = 128 + constants.signals[signal];
    stopPassing();
    process.kill(process.pid, signal);
  }
}

/** @param {string} message one line */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
