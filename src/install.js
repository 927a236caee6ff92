import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";

/**
 * A package in npm's lockfiles.
 *
 * @typedef {{ integrity?: string, dev?: boolean, optional?: boolean }} LockedPackage
 */

/**
 * How a program ended: with an exit code or by a signal.
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Ending
 */

/**
 * @typedef {object} InstallOptions
 * @property {string} root the directory of package.json
 * @property {boolean} withDev whether the development packages are needed
 * @property {string | undefined} nodePackage the package with the Node to run on, when that is needed
 * @property {(program: string, args: readonly string[]) => Promise<Ending>} run runs a program in `root`
 */

const LOCK_POLL_MS = 200;

/**
 * Installs the packages of package-lock.json that node_modules lacks. Installed packages stay unchanged, since a
 * running service may use them.
 *
 * @param {InstallOptions} options
 * @returns {Promise<Ending>} how npm ended; code 0 when there was nothing to do
 */
export async function install(options) {
  /** @type {Ending} */
  let ending = { code: 0, signal: null };
  if (missingPackages(options).length > 0) {
    const unlock = await lock(join(options.root, "node_modules"));
    try {
      ending = await installMissing(options);
    } finally {
      unlock();
    }
  }
  if (ending.code === 0) {
    linkNode(options);
  }
  return ending;
}

/**
 * @param {InstallOptions} options
 * @returns {Promise<Ending>}
 */
async function installMissing(options) {
  const { root, run } = options;
  // Another process may have installed them while this one waited for the lock.
  if (missingPackages(options).length === 0) {
    return { code: 0, signal: null };
  }
  // npm would treat a directory that an interrupted installation left incomplete as a whole package.
  for (const path of unrecordedPackages(root)) {
    rmSync(join(root, path), { recursive: true, force: true });
  }
  // npm's scripts must not find a Node that is still being written.
  if (!existsSync(nodeLink(root))) {
    rmSync(nodeLink(root), { force: true });
  }
  // Without the link, npm 10 treats the package as damaged and replaces it.
  linkNode(options);
  // Keeps development packages that are already installed.
  const withDev = options.withDev || Object.values(readInstalled(root)).some(({ dev }) => dev === true);
  process.stderr.write("Installing packages. This can take a minute.\n");
  return run("npm", [
    "install",
    "--no-save",
    withDev ? "--include=dev" : "--omit=dev",
    "--include=optional",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ]);
}

/**
 * The required packages that are missing or differ from package-lock.json.
 *
 * @param {InstallOptions} options
 * @returns {string[]} paths such as `node_modules/pino`
 */
function missingPackages({ root, withDev, nodePackage }) {
  const locked = readLocked(root);
  const installed = readInstalled(root);
  return unrecordedPackages(root).filter((path) => {
    if (path === `node_modules/${nodePackage}`) {
      return true;
    }
    const { dev = false, optional = false } = locked[path] ?? {};
    // Most optional packages are for other platforms, so they count only if they are installed in another version.
    return (withDev || !dev) && (!optional || path in installed);
  });
}

/**
 * The packages of package-lock.json that the last complete installation did not install in this version.
 *
 * @param {string} root
 */
function unrecordedPackages(root) {
  const installed = readInstalled(root);
  return Object.entries(readLocked(root))
    .filter(
      ([path, { integrity }]) => path !== "" && (!(path in installed) || installed[path]?.integrity !== integrity),
    )
    .map(([path]) => path);
}

/** @param {string} root */
function readLocked(root) {
  return readPackages(join(root, "package-lock.json"));
}

/**
 * npm's record of the last complete installation.
 *
 * @param {string} root
 */
function readInstalled(root) {
  const path = join(root, "node_modules", ".package-lock.json");
  return existsSync(path) ? readPackages(path) : {};
}

/**
 * @param {string} path
 * @returns {Record<string, LockedPackage>}
 */
function readPackages(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

/**
 * Makes `node_modules/.bin/node`, as npm 11 does. npm 10 removes it together with the packages for other processors,
 * which contain a program of the same name.
 *
 * @param {InstallOptions} options
 */
function linkNode({ root, nodePackage }) {
  const link = nodeLink(root);
  if (nodePackage !== undefined && existsSync(join(root, "node_modules", nodePackage)) && !existsSync(link)) {
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join("..", nodePackage, "bin", "node"), link);
  }
}

/** @param {string} root */
function nodeLink(root) {
  return join(root, "node_modules", ".bin", "node");
}

/**
 * Waits until no other process is installing into the directory, and locks it.
 *
 * @param {string} directory made when missing
 * @returns {Promise<() => void>} releases the lock
 */
async function lock(directory) {
  mkdirSync(directory, { recursive: true });
  // A link is made in one step, with the process id as its target.
  const path = join(directory, ".installing");
  let isWaiting = false;
  for (;;) {
    try {
      symlinkSync(String(process.pid), path);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (!existsAlready(error)) {
        throw error;
      }
    }
    if (!isOwnerRunning(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!isWaiting) {
      process.stderr.write("Waiting for another process to install the packages.\n");
      isWaiting = true;
    }
    await setTimeout(LOCK_POLL_MS);
  }
}

/** @param {unknown} error */
function existsAlready(error) {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

/** @param {string} path */
function isOwnerRunning(path) {
  try {
    process.kill(Number(readlinkSync(path)), 0);
    return true;
  } catch {
    return false;
  }
}
