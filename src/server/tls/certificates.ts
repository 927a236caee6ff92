import type { Server, TlsOptions } from "node:tls";

import { WatchedFiles } from "../../files/watched-files.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { readTlsFiles, type TlsFiles, TlsFilesError, type TlsIdentity } from "./files.ts";

export interface TlsCertificatesOptions extends TlsFiles {
  readonly logger: Logger;
  /** How often the files are looked at, in ms. Default: 1,000. A change takes effect within a few looks. */
  readonly pollMs?: number | undefined;
  /** How long a handshake may take, in ms. Default: 10 s. */
  readonly handshakeTimeoutMs?: number | undefined;
}

/** The certificate of the service, read again when its files change. New handshakes see the new one. */
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
   * Reads the files and begins to watch them.
   *
   * @throws TlsFilesError when they cannot serve
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
        logger.error("the TLS files are not usable; those read before stay in force", { reason });
      },
      pollMs,
    });
    warnOfAge(files.content.validTo, logger);
    return new TlsCertificates(options, files, servers);
  }

  /** How a server begins. Let it `follow` afterwards. */
  get serverOptions(): TlsOptions {
    const wantsClientCertificate = this.#options.clientCaFile !== undefined;
    return {
      ...this.#files.content.context,
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
    this.#files[Symbol.dispose]();
  }
}

function warnOfAge(validTo: Date, logger: Logger): void {
  if (validTo.getTime() < Date.now()) {
    logger.warn("the TLS certificate has expired", { validTo: validTo.toISOString() });
  }
}
