import type { Server, TlsOptions } from "node:tls";

import type { Logger } from "../telemetry/logger.ts";
import { readTlsFiles, type TlsFiles, TlsFilesError, type TlsIdentity } from "./tls-files.ts";
import { WatchedFiles } from "./watched-files.ts";

export interface TlsCertificatesOptions extends TlsFiles {
  readonly logger: Logger;
  /** How often the files are looked at, in ms. Default: 1,000. A change takes effect within two looks. */
  readonly pollMs?: number | undefined;
  /** How long a handshake may take, in ms. Default: 10 s. */
  readonly handshakeTimeoutMs?: number | undefined;
}

/** The certificate of the service, read again when its files change. New handshakes see the new one. */
export class TlsCertificates implements Disposable {
  readonly #options: TlsCertificatesOptions;
  readonly #servers = new Set<Server>();
  #identity: TlsIdentity;
  #files: WatchedFiles | undefined;

  private constructor(options: TlsCertificatesOptions, identity: TlsIdentity) {
    this.#options = options;
    this.#identity = identity;
  }

  /**
   * Reads the files and begins to watch them.
   *
   * @throws TlsFilesError when they cannot serve
   */
  static async open(options: TlsCertificatesOptions): Promise<TlsCertificates> {
    const { certFile, keyFile, clientCaFile, pollMs = 1000 } = options;
    const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
    let certificates: TlsCertificates | undefined;
    const files = await WatchedFiles.watch(paths, pollMs, async () => certificates?.readAgain());
    try {
      certificates = new TlsCertificates(options, await readTlsFiles(options));
    } catch (error) {
      files[Symbol.dispose]();
      throw error;
    }
    certificates.#files = files;
    certificates.#warnOfAge();
    return certificates;
  }

  /** How a server begins. Let it `follow` afterwards. */
  get serverOptions(): TlsOptions {
    const wantsClientCertificate = this.#options.clientCaFile !== undefined;
    return {
      ...this.#identity.context,
      requestCert: wantsClientCertificate,
      rejectUnauthorized: wantsClientCertificate,
      handshakeTimeout: this.#options.handshakeTimeoutMs ?? 10_000,
    };
  }

  /** Gives the server every new certificate until it closes. Open connections go on with what they have. */
  follow(server: Server): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
  }

  [Symbol.dispose](): void {
    this.#files?.[Symbol.dispose]();
  }

  /** Never rejects: what cannot be used is logged, and the old certificate stays. */
  async readAgain(): Promise<void> {
    const { logger } = this.#options;
    try {
      this.#identity = await readTlsFiles(this.#options);
    } catch (error) {
      const reason = error instanceof TlsFilesError ? error.message : "it failed unexpectedly";
      logger.error("the TLS files are not usable; those read before stay in force", { reason });
      return;
    }
    for (const server of this.#servers) {
      server.setSecureContext(this.#identity.context);
    }
    logger.info("the TLS certificate has changed", { validTo: this.#identity.validTo.toISOString() });
    this.#warnOfAge();
  }

  #warnOfAge(): void {
    const { validTo } = this.#identity;
    if (validTo.getTime() < Date.now()) {
      this.#options.logger.warn("the TLS certificate has expired", { validTo: validTo.toISOString() });
    }
  }
}
