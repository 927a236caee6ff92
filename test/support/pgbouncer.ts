import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findOwner, type PostgresServer } from "./postgres.ts";

/** The path in Debian's package. */
const PROGRAM = "/usr/sbin/pgbouncer";
const PORT = 6432;

/** Debian's PgBouncer in front of a server, in transaction mode, otherwise with its default settings. */
export interface PgBouncer extends AsyncDisposable {
  /** The URL of a database through it. */
  urlOf(databaseUrl: string): string;
}

/** Few server connections, so that clients share them. Its files and its socket are in the server's directory. */
export async function startPgBouncer(server: PostgresServer, serverConnections = 3): Promise<PgBouncer> {
  const { directory } = server;
  const configuration = join(directory, "pgbouncer.ini");
  await writeFile(
    configuration,
    `[databases]
* = host=${directory} user=postgres
[pgbouncer]
listen_addr =
listen_port = ${PORT}
unix_socket_dir = ${directory}
auth_type = any
pool_mode = transaction
default_pool_size = ${serverConnections}
`,
  );
  // It refuses to run as root.
  const owner = await findOwner();
  const child = spawn(PROGRAM, [configuration], { ...owner, cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  const output: string[] = [];
  await new Promise<void>((resolve, reject) => {
    // Read to its end, so that the pipe never fills.
    const lines = createInterface({ input: child.stderr });
    lines.on("line", (line) => {
      output.push(line);
      if (line.includes("process up")) {
        resolve();
      }
    });
    lines.on("close", () => reject(new Error(`PgBouncer did not start:\n${output.join("\n")}`)));
    child.on("error", reject);
  });
  return {
    urlOf: (databaseUrl) => {
      const url = new URL(databaseUrl);
      url.searchParams.set("port", String(PORT));
      return url.href;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
