import { once } from "node:events";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { createAuthority } from "../../support/certificates.ts";
import { manyVins } from "../../support/real-vins.ts";
import { SteadyCalls } from "../../support/steady-calls.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { TlsCallers } from "../../support/tls-callers.ts";

const [VIN = ""] = manyVins(1);
const LIMIT_MS = 5_000;
const authority = createAuthority();
const first = authority.issue("first");
const second = authority.issue("second");

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
});

afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

/** A directory of its own for a test, with the first certificate. */
async function writeFirst(name: string): Promise<string> {
  const path = join(directory.path, name);
  await mkdir(path);
  await writePair(path, first);
  return path;
}

async function writePair(path: string, { cert, key }: { readonly cert: string; readonly key: string }): Promise<void> {
  await writeFile(join(path, "cert.pem"), cert);
  await writeFile(join(path, "key.pem"), key);
}

async function start(path: string, env: Readonly<Record<string, string>> = {}): Promise<TestApp> {
  return startTestApp({
    env: {
      TLS_CERT_FILE: join(path, "cert.pem"),
      TLS_KEY_FILE: join(path, "key.pem"),
      // One of the callers makes a connection for each call.
      CONNECTIONS_PER_ADDRESS: "unlimited",
      ...env,
    },
  });
}

interface Shown {
  readonly cert?: string;
  readonly key?: string;
  readonly session?: Buffer | undefined;
}

/** Shakes hands, and keeps the connection. */
async function shakeHands(address: string, shown: Shown = {}): Promise<TLSSocket> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), ca: authority.cert, ALPNProtocols: ["h2"], ...shown });
  socket.resume();
  await once(socket, "secureConnect");
  return socket;
}

async function certificateOf(address: string): Promise<unknown> {
  const socket = await shakeHands(address);
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

/** How a client of HTTP/2 begins: the preface, and empty settings. */
const HELLO = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/** Whether a client gets an answer. With TLS 1.3 it has shaken hands before the server has looked at its certificate. */
async function isLetIn(address: string, shown: Shown): Promise<boolean> {
  const socket = await shakeHands(address, shown);
  const end = new AbortController();
  const { signal } = end;
  socket.write(HELLO);
  const verdict = await Promise.race([
    once(socket, "data", { signal }).then(() => true),
    once(socket, "close", { signal }).then(() => false),
  ]).catch(() => false);
  end.abort();
  socket.on("error", () => {});
  socket.destroy();
  return verdict;
}

/** The ways in which certificates are rotated. */
const ROTATIONS: Readonly<Record<string, (path: string) => Promise<void>>> = {
  "in place, the key a second after the certificate": async (path) => {
    await writeFile(join(path, "cert.pem"), second.cert);
    await pause(1_000);
    await writeFile(join(path, "key.pem"), second.key);
  },
  "by renaming, the certificate so long after the key that they do not fit for a while": async (path) => {
    await writeFile(join(path, "key.next"), second.key);
    await writeFile(join(path, "cert.next"), second.cert);
    await rename(join(path, "key.next"), join(path, "key.pem"));
    await pause(2_500);
    await rename(join(path, "cert.next"), join(path, "cert.pem"));
  },
};

describe("while a certificate is replaced", () => {
  test.concurrent.each(Object.entries(ROTATIONS))(
    "%s, no call fails, and new connections get the new one within 5 s",
    async (name, rotate) => {
      const path = await writeFirst(name);
      await using app = await start(path);
      using callers = new TlsCallers(app, VIN, { ca: authority.cert });
      await using calls = new SteadyCalls(callers.lookups);
      await calls.more(1);

      await rotate(path);
      const changedAt = performance.now();
      await vi.waitFor(
        async () => {
          expect(await certificateOf(app.grpcAddress)).toBe("second");
          expect(await certificateOf(app.httpAddress)).toBe("second");
        },
        { timeout: LIMIT_MS, interval: 50 },
      );
      const tookMs = performance.now() - changedAt;
      await calls.more(3);

      expect(await calls.stop()).toEqual([]);
      expect(tookMs).toBeLessThan(LIMIT_MS);
    },
  );

  test.concurrent("by swapping the directory, as secrets are mounted, no call fails", async () => {
    const old = await writeFirst("..v1");
    const next = join(directory.path, "..v2");
    await mkdir(next);
    await writePair(next, second);
    const data = join(directory.path, "..data");
    const mount = join(directory.path, "mount");
    await symlink(old, data);
    await mkdir(mount);
    await symlink(join(data, "cert.pem"), join(mount, "cert.pem"));
    await symlink(join(data, "key.pem"), join(mount, "key.pem"));
    await using app = await start(mount);
    using callers = new TlsCallers(app, VIN, { ca: authority.cert });
    await using calls = new SteadyCalls(callers.lookups);
    await calls.more(1);

    await symlink(next, `${data}.next`);
    await rename(`${data}.next`, data);
    await vi.waitFor(async () => expect(await certificateOf(app.grpcAddress)).toBe("second"), {
      timeout: LIMIT_MS,
      interval: 50,
    });
    await calls.more(3);

    expect(await calls.stop()).toEqual([]);
    expect(app.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("while the authority of clients is replaced", () => {
  const oldClients = createAuthority("old clients");
  const newClients = createAuthority("new clients");
  const [oldClient, newClient] = [oldClients.issue("a client"), newClients.issue("a client")];
  const soon = { timeout: LIMIT_MS, interval: 50 };

  test.concurrent("clients of both get in as long as both are in the file", async () => {
    const path = await writeFirst("both");
    const caFile = join(path, "ca.pem");
    await writeFile(caFile, oldClients.cert);
    await using app = await start(path, { TLS_CLIENT_CA_FILE: caFile });
    using callers = new TlsCallers(app, VIN, { ca: authority.cert, ...oldClient });
    await using calls = new SteadyCalls(callers.lookups);
    await calls.more(1);
    const gotInBefore = await isLetIn(app.grpcAddress, newClient);

    await writeFile(caFile, oldClients.cert + newClients.cert);
    await vi.waitFor(async () => expect(await isLetIn(app.grpcAddress, newClient)).toBe(true), soon);
    await vi.waitFor(async () => expect(await isLetIn(app.httpAddress, newClient)).toBe(true), soon);
    await calls.more(3);

    expect(gotInBefore).toBe(false);
    expect(await calls.stop()).toEqual([]);
  });

  test.concurrent("clients of one that was taken out do not get in, nor resume a session; open connections go on", async () => {
    const path = await writeFirst("one");
    const caFile = join(path, "ca.pem");
    await writeFile(caFile, oldClients.cert + newClients.cert);
    await using app = await start(path, { TLS_CLIENT_CA_FILE: caFile });
    const before = await shakeHands(app.httpAddress, oldClient);
    const [session] = await once(before, "session");
    const resumed = await shakeHands(app.httpAddress, { ...oldClient, session });
    const wasResumed = resumed.isSessionReused();
    before.destroy();
    resumed.destroy();
    using callers = new TlsCallers(app, VIN, { ca: authority.cert, ...oldClient });
    const { "a connection for each call": _, ...onOpenConnections } = callers.lookups;
    await using calls = new SteadyCalls(onOpenConnections);
    await calls.more(1);

    await writeFile(caFile, newClients.cert);
    await vi.waitFor(async () => expect(await isLetIn(app.grpcAddress, oldClient)).toBe(false), soon);
    await vi.waitFor(async () => expect(await isLetIn(app.httpAddress, oldClient)).toBe(false), soon);
    await calls.more(3);

    expect(wasResumed).toBe(true);
    expect(await isLetIn(app.httpAddress, { ...oldClient, session })).toBe(false);
    expect(await isLetIn(app.httpAddress, newClient)).toBe(true);
    expect(await calls.stop()).toEqual([]);
  });
});
