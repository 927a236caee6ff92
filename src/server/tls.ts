import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions, type Server, type TlsOptions } from "node:tls";
import { systemCodeOf } from "../files/error-code.ts";
import { WatchedFiles } from "../files/watched-files.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Paths of the PEM files for TLS. */
interface TlsFiles {
  /** The certificate, followed by the chain to its root. */
  readonly certFile: string;
  /** Its private key, without a passphrase. */
  readonly keyFile: string;
  /** The authorities that sign client certificates. When set, clients without a certificate are refused. */
  readonly clientCaFile?: string | undefined;
}

/**
 * The files cannot be used. The message is one line for the operator. It names the variable and the path, and contains
 * nothing from the files.
 */
export class TlsFilesError extends Error {
  override readonly name = "TlsFilesError";
}

export interface TlsCertificatesOptions extends TlsFiles {
  readonly logger: Logger;
  /** How often the files are checked, in ms. Default: 1,000. A change takes effect within a few checks. */
  readonly pollMs?: number | undefined;
  /** How long a handshake may take, in ms. Default: 10 s. */
  readonly handshakeTimeoutMs?: number | undefined;
}

/** The certificate of the service, reloaded when its files change. New handshakes use the new one. */
export class TlsCertificates implements Disposable {
  readonly #options: TlsCertificatesOptions;
  readonly #files: WatchedFiles<TlsIdentity>;
  readonly #servers: Set<Server>;

  private constructor(options: TlsCertificatesOptions, files: WatchedFiles<TlsIdentity>, servers: Set<Server>) {
    this.#options = options;
    this.#files = files;
    this.#servers = servers;
  }

  /**
   * Reads the files and starts watching them.
   *
   * @throws TlsFilesError when they cannot be used
   */
  static async open(options: TlsCertificatesOptions): Promise<TlsCertificates> {
    const { certFile, keyFile, clientCaFile, logger, pollMs } = options;
    const servers = new Set<Server>();
    const files = await WatchedFiles.open({
      paths: [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])],
      read: () => readTlsFiles(options),
      onChange({ context, validTo }) {
        for (const server of servers) {
          server.setSecureContext(context);
        }
        logger.info("the TLS certificate has changed", { validTo: validTo.toISOString() });
        warnOfAge(validTo, logger);
      },
      onFault(error) {
        const reason = error instanceof TlsFilesError ? error.message : "it failed unexpectedly";
        logger.error("the TLS files cannot be used; the previously loaded ones remain in use", { reason });
      },
      pollMs,
    });
    warnOfAge(files.content.validTo, logger);
    return new TlsCertificates(options, files, servers);
  }

  /** The last moment at which clients accept the certificate in use. */
  get validTo(): Date {
    return this.#files.content.validTo;
  }

  /** Whether the files have changed and the new ones cannot be used. */
  get isFaulty(): boolean {
    return this.#files.isFaulty;
  }

  /** The options for creating a server. After creating it, call {@link follow}. */
  get serverOptions(): TlsOptions {
    const wantsClientCertificate = this.#options.clientCaFile !== undefined;
    return {
      ...this.#files.content.context,
      requestCert: wantsClientCertificate,
      rejectUnauthorized: wantsClientCertificate,
      handshakeTimeout: this.#options.handshakeTimeoutMs ?? 10_000,
    };
  }

  /** Gives the server every new certificate, until the server closes. Open connections keep their certificate. */
  follow(server: Server): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

function warnOfAge(validTo: Date, logger: Logger): void {
  if (validTo.getTime() < Date.now()) {
    logger.warn("the TLS certificate has expired", { validTo: validTo.toISOString() });
  }
}

/** The checked contents of the files, in the form that `node:tls` accepts. */
export interface TlsIdentity {
  readonly context: SecureContextOptions;
  /** The last moment at which clients accept the certificate. */
  readonly validTo: Date;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads the files and checks that they match.
 *
 * @throws TlsFilesError when they cannot be used
 */
async function readTlsFiles({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<TlsIdentity> {
  const cert = await read("TLS_CERT_FILE", certFile);
  const key = await read("TLS_KEY_FILE", keyFile);
  const ca = clientCaFile === undefined ? undefined : await read("TLS_CLIENT_CA_FILE", clientCaFile);
  const [certificate] = parseCertificates("TLS_CERT_FILE", certFile, cert);
  if (!certificate.checkPrivateKey(parseKey(keyFile, key))) {
    throw new TlsFilesError(`TLS_KEY_FILE: ${keyFile} is not the private key of the certificate in ${certFile}`);
  }
  if (clientCaFile !== undefined && ca !== undefined) {
    parseCertificates("TLS_CLIENT_CA_FILE", clientCaFile, ca);
  }
  const context: SecureContextOptions = { cert, key, ca, minVersion: "TLSv1.2" };
  try {
    // OpenSSL makes more checks, such as for keys that are too short.
    createSecureContext(context);
  } catch (error) {
    throw new TlsFilesError(`TLS_CERT_FILE: ${certFile} cannot be used (${systemCodeOf(error)})`);
  }
  return { context, validTo: certificate.validToDate };
}

async function read(variable: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new TlsFilesError(`${variable}: cannot read ${path} (${systemCodeOf(error)})`);
  }
}

function parseCertificates(variable: string, path: string, pem: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [first, ...rest] = (pem.match(CERTIFICATES) ?? []).map((each) => new X509Certificate(each));
    if (first !== undefined) {
      return [first, ...rest];
    }
  } catch {
    // Reported below, because OpenSSL's message does not help.
  }
  throw new TlsFilesError(`${variable}: ${path} has no valid PEM certificate`);
}

function parseKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TlsFilesError(
      pem.includes("ENCRYPTED")
        ? `TLS_KEY_FILE: ${path} has a passphrase; use a key without one`
        : `TLS_KEY_FILE: ${path} has no private key in PEM, or a damaged one`,
    );
  }
}
