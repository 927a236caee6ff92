import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import type { TlsCertificatesOptions } from "../../src/server/tls.ts";
import { TlsCertificates, TlsFilesError } from "../../src/server/tls.ts";
import { createAuthority } from "../support/certificates.ts";
import { disposeAfterTest } from "../support/dispose-after-test.ts";
import { eventually } from "../support/eventually.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { RawClient } from "../support/raw-client.ts";
import type { Served } from "../support/serve.ts";
import { serve } from "../support/serve.ts";
import { SteadyCalls } from "../support/steady-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp } from "../support/test-app.ts";
import type { CallerIdentity } from "../support/tls-callers.ts";
import { TlsCallers } from "../support/tls-callers.ts";
import { OPENING } from "../support/http2-frames.ts";

const authority = createAuthority();
const first = authority.issue("first");
const second = authority.issue("second");
const encryption = { cipher: "aes-256-cbc", passphrase: "secret" };
const withPassphrase = createPrivateKey(first.key)
  .export({ type: "pkcs8", format: "pem", ...encryption })
  .toString();

let path: string;
let files: Record<"certFile" | "keyFile" | "clientCaFile", string>;
let logger: MemoryLogger;

beforeEach(async () => {
  ({ path } = disposeAfterTest(await temporaryDirectory()));
  files = { certFile: join(path, "cert.pem"), keyFile: join(path, "key.pem"), clientCaFile: join(path, "ca.pem") };
  await writeFile(files.certFile, first.cert);
  await writeFile(files.keyFile, first.key);
  await writeFile(files.clientCaFile, authority.cert);
  logger = new MemoryLogger();
});

/** Starts a server with the certificate in the files. It checks the files every 10 ms. */
async function start(options: Partial<TlsCertificatesOptions> = {}): Promise<Served> {
  const { certFile, keyFile } = files;
  const tls = disposeAfterTest(await TlsCertificates.open({ certFile, keyFile, logger, pollMs: 10, ...options }));
  return disposeAfterTest(
    await serve({
      tls,
      handlers: { lookup: ({ vin }) => ({ vin }) },
      // One of the callers opens a connection for each call.
      connections: { maxNewPerAddress: Infinity, maxOpenPerAddress: Infinity },
    }),
  );
}

/** Clients with every protocol, that trust the authority. */
function callersOf({ address }: Served, identity: Omit<CallerIdentity, "ca"> = {}): TlsCallers {
  return new TlsCallers({ grpcAddress: address, httpAddress: address }, "V", { ca: authority.cert, ...identity });
}

/** Opens a connection, and waits for the TLS handshake. */
async function shakeHands({ port }: Served, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, ca: authority.cert, ALPNProtocols: ["h2"], ...options });
  socket.resume();
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}

async function certificateOf(server: Served): Promise<unknown> {
  const socket = await shakeHands(server);
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

/** Whether a client gets an answer. In TLS 1.3, its handshake ends before the server has checked its certificate. */
async function isLetIn(server: Served, options: ConnectionOptions): Promise<boolean> {
  const socket = await shakeHands(server, options);
  socket.write(OPENING);
  const verdict = await new Promise<boolean>((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
  });
  socket.destroy();
  return verdict;
}

describe("a faulty file is reported:", () => {
  test.each([
    ["certFile", undefined, "TLS_CERT_FILE: cannot read FAULTY (ENOENT)"],
    ["keyFile", undefined, "TLS_KEY_FILE: cannot read FAULTY (ENOENT)"],
    ["clientCaFile", undefined, "TLS_CLIENT_CA_FILE: cannot read FAULTY (ENOENT)"],
    ["certFile", "", "TLS_CERT_FILE: FAULTY has no valid PEM certificate"],
    ["certFile", first.cert.replace("MII", "MIX"), "TLS_CERT_FILE: FAULTY has no valid PEM certificate"],
    ["certFile", second.cert, "TLS_KEY_FILE: KEY is not the private key of the certificate in FAULTY"],
    ["keyFile", second.key, "TLS_KEY_FILE: FAULTY is not the private key of the certificate in CERT"],
    ["keyFile", "no key", "TLS_KEY_FILE: FAULTY has no private key in PEM, or a damaged one"],
    ["keyFile", withPassphrase, "TLS_KEY_FILE: FAULTY has a passphrase; use a key without one"],
    ["clientCaFile", "nobody", "TLS_CLIENT_CA_FILE: FAULTY has no valid PEM certificate"],
  ] as const)("%s with the content %j", async (name, text, message) => {
    const faulty = join(path, "faulty.pem");
    if (text !== undefined) {
      await writeFile(faulty, text);
    }

    const opening = TlsCertificates.open({ ...files, [name]: faulty, logger });

    const paths: Readonly<Record<string, string>> = { FAULTY: faulty, CERT: files.certFile, KEY: files.keyFile };
    const expected = message.replaceAll(/\b(FAULTY|CERT|KEY)\b/g, (word) => paths[word] ?? word);
    await expect(opening).rejects.toThrow(new TlsFilesError(expected));
  });

  test("the service does not start", async () => {
    await writeFile(files.keyFile, second.key);

    const starting = startTestApp({ env: { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile } });

    await expect(starting).rejects.toThrow(TlsFilesError);
  });
});

test.each([
  [{ TLS_CERT_FILE: "cert.pem" }, "TLS_KEY_FILE: needed with TLS_CERT_FILE"],
  [{ TLS_KEY_FILE: "key.pem" }, "TLS_CERT_FILE: needed with TLS_KEY_FILE"],
  [{ TLS_CLIENT_CA_FILE: "ca.pem" }, "TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE and TLS_KEY_FILE"],
])("a configuration with only some of the files is not valid: %j", (env, fault) => {
  expect(() => loadConfig(env)).toThrow(fault);
});

test("an expired certificate causes a warning", async () => {
  const expired = authority.issue("old", -1_000);
  await writeFile(files.certFile, expired.cert);
  await writeFile(files.keyFile, expired.key);

  await start();

  expect(logger.lines).toMatchObject([{ level: "warn", message: "the TLS certificate has expired" }]);
});

test("TLS 1.2 is the oldest version accepted", async () => {
  const server = await start();
  const tls11 = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;

  const socket = await shakeHands(server, { maxVersion: "TLSv1.2" });
  const refused = shakeHands(server, tls11);

  await expect(refused).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" });
  expect(socket.getProtocol()).toBe("TLSv1.2");
  socket.destroy();
});

test.each([
  ["fails", Buffer.of(0x16, 3, 1, 0, 4, 0xff, 0, 0, 0)],
  ["takes too long", Buffer.of(0x16, 3, 1)],
])("a handshake that %s leaves no connection, even if the client keeps its side open", async (_what, bytes) => {
  const server = await start({ handshakeTimeoutMs: 50 });
  using client = await RawClient.open(server.port, { staysOpen: true });

  client.send(bytes);
  await client.ended;
  await client.sendUntilClosed();

  await eventually(() => expect(server.gate.open).toBe(0));
});

test("with an authority for clients, only clients with a certificate from it are accepted", async () => {
  const server = await start({ clientCaFile: files.clientCaFile });

  const verdicts = [
    await isLetIn(server, authority.issue("a client")),
    await isLetIn(server, {}),
    await isLetIn(server, createAuthority().issue("a stranger")),
  ];

  expect(verdicts).toEqual([true, false, false]);
});

test("while a certificate is replaced, no call fails, and new connections get the new one", async () => {
  const server = await start();
  using callers = callersOf(server);
  await using calls = new SteadyCalls(callers.lookups);
  await calls.more(1);
  const before = await certificateOf(server);

  await writeFile(files.certFile, second.cert);
  // The certificate and the old key do not match.
  await eventually(() => expect(logger.lines.at(-1)).toMatchObject({ level: "error" }));
  const between = await certificateOf(server);
  await writeFile(files.keyFile, second.key);
  await eventually(async () => expect(await certificateOf(server)).toBe("second"));
  await calls.more(2);

  expect([before, between]).toEqual(["first", "first"]);
  expect(await calls.stop()).toEqual([]);
  expect(logger.lines).toContainEqual({
    level: "error",
    message: "the TLS files cannot be used; the previously loaded ones remain in use",
    fields: { reason: `TLS_KEY_FILE: ${files.keyFile} is not the private key of the certificate in ${files.certFile}` },
  });
  expect(logger.lines.at(-1)).toMatchObject({ level: "info", message: "the TLS certificate has changed" });
});

test("clients of a removed authority cannot connect or resume a session; open connections continue", async () => {
  const oldClients = createAuthority("old clients");
  const newClients = createAuthority("new clients");
  const [oldClient, newClient] = [oldClients.issue("a client"), newClients.issue("a client")];
  await writeFile(files.clientCaFile, oldClients.cert + newClients.cert);
  const server = await start({ clientCaFile: files.clientCaFile });
  const before = await shakeHands(server, oldClient);
  const [session] = await once(before, "session");
  const resumed = await shakeHands(server, { ...oldClient, session });
  const wasResumed = resumed.isSessionReused();
  before.destroy();
  resumed.destroy();
  using callers = callersOf(server, oldClient);
  const { "a connection for each call": _, ...onOpenConnections } = callers.lookups;
  await using calls = new SteadyCalls(onOpenConnections);
  await calls.more(1);

  await writeFile(files.clientCaFile, newClients.cert);
  await eventually(async () => expect(await isLetIn(server, oldClient)).toBe(false));
  await calls.more(2);

  expect(wasResumed).toBe(true);
  expect(await isLetIn(server, { ...oldClient, session })).toBe(false);
  expect(await isLetIn(server, newClient)).toBe(true);
  expect(await calls.stop()).toEqual([]);
});
