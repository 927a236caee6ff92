import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { loadConfig } from "../../../src/config.ts";
import { TlsCertificates } from "../../../src/server/tls/certificates.ts";
import { TlsFilesError } from "../../../src/server/tls/files.ts";
import { createAuthority } from "../../support/certificates.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { ServiceProcess } from "../../support/service-process.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const authority = createAuthority();
const identity = authority.issue("first");
const other = authority.issue("other");
const { privateKey: withPassphrase } = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" },
});

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let files: { certFile: string; keyFile: string; clientCaFile: string };

beforeEach(async () => {
  directory = await temporaryDirectory();
  files = {
    certFile: join(directory.path, "cert.pem"),
    keyFile: join(directory.path, "key.pem"),
    clientCaFile: join(directory.path, "ca.pem"),
  };
  await writeFile(files.certFile, identity.cert);
  await writeFile(files.keyFile, identity.key);
  await writeFile(files.clientCaFile, authority.cert);
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

describe("the files cannot serve", () => {
  test.each([
    ["certFile", undefined, "TLS_CERT_FILE: cannot be read (ENOENT)"],
    ["keyFile", undefined, "TLS_KEY_FILE: cannot be read (ENOENT)"],
    ["clientCaFile", undefined, "TLS_CLIENT_CA_FILE: cannot be read (ENOENT)"],
    ["certFile", "", "TLS_CERT_FILE: has no certificate in PEM, or a damaged one"],
    ["certFile", identity.cert.replace("MII", "MIX"), "TLS_CERT_FILE: has no certificate in PEM, or a damaged one"],
    ["certFile", other.cert, "TLS_KEY_FILE: not the private key of the certificate in TLS_CERT_FILE"],
    ["keyFile", other.key, "TLS_KEY_FILE: not the private key of the certificate in TLS_CERT_FILE"],
    ["keyFile", "no key", "TLS_KEY_FILE: has no private key in PEM, or a damaged one"],
    ["keyFile", withPassphrase, "TLS_KEY_FILE: has a passphrase; allowed are keys without one"],
    ["clientCaFile", "nobody", "TLS_CLIENT_CA_FILE: has no certificate in PEM, or a damaged one"],
  ] as const)("with this %s: %j", async (name, text, message) => {
    const path = join(directory.path, "faulty.pem");
    if (text !== undefined) {
      await writeFile(path, text);
    }

    const opening = TlsCertificates.open({ ...files, [name]: path, logger: new MemoryLogger() });

    await expect(opening).rejects.toThrow(new TlsFilesError(message));
  });

  test("and the process says so in one line, and ends with 1", async () => {
    await writeFile(files.keyFile, other.key);

    await using service = await ServiceProcess.fail({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      TLS_CERT_FILE: files.certFile,
      TLS_KEY_FILE: files.keyFile,
    });

    expect(service.exitCode).toBe(1);
    expect(service.log.at(-1)).toMatchObject({
      msg: "cannot start",
      reason: "TLS_KEY_FILE: not the private key of the certificate in TLS_CERT_FILE",
    });
  });
});

test.each([
  [{ TLS_CERT_FILE: "cert.pem" }, "TLS_KEY_FILE: needed with TLS_CERT_FILE"],
  [{ TLS_KEY_FILE: "key.pem" }, "TLS_CERT_FILE: needed with TLS_KEY_FILE"],
  [{ TLS_CLIENT_CA_FILE: "ca.pem" }, "TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE and TLS_KEY_FILE"],
])("one file without the other is a fault of the configuration: %j", (env, fault) => {
  expect(() => loadConfig(env)).toThrow(fault);
});

test("a new pair that cannot be used leaves the old one in force, and the next good one is taken", async () => {
  const logger = new MemoryLogger();
  using certificates = await TlsCertificates.open({ ...files, logger, pollMs: 10 });

  await writeFile(files.certFile, other.cert);
  await vi.waitFor(() =>
    expect(logger.lines).toMatchObject([
      { level: "error", fields: { reason: "TLS_KEY_FILE: not the private key of the certificate in TLS_CERT_FILE" } },
    ]),
  );
  const meanwhile = certificates.serverOptions.cert;
  await writeFile(files.keyFile, other.key);
  await vi.waitFor(() => expect(logger.lines.at(-1)).toMatchObject({ message: "the TLS certificate has changed" }));

  expect(meanwhile).toBe(identity.cert);
  expect(certificates.serverOptions.cert).toBe(other.cert);
});

test("an expired certificate is warned of", async () => {
  const logger = new MemoryLogger();
  const expired = authority.issue("old", -1000);
  await writeFile(files.certFile, expired.cert);
  await writeFile(files.keyFile, expired.key);

  using _ = await TlsCertificates.open({ ...files, logger });

  expect(logger.lines).toMatchObject([{ level: "warn", message: "the TLS certificate has expired" }]);
});
