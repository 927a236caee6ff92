import { readFile } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { downloadExport } from "./download-export.ts";
import { type ExportArguments, isHttpUrl, parseExportArguments, type TlsArguments, USAGE } from "./export-arguments.ts";
import { ProgressBar } from "./progress-bar.ts";

// `npm run export`: downloads the cache as one Parquet file. Exit codes: 0 success, 1 failure, 2 wrong arguments.

process.exitCode = await main();

async function main(): Promise<number> {
  let parsed: ExportArguments;
  try {
    parsed = parseExportArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${describe(error)}\n\n${USAGE}\n`);
    return 2;
  }
  try {
    process.stderr.write(`${await run(parsed)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`export failed: ${describe(error)}\n`);
    return 1;
  }
}

async function run({ address, token, tokenFile, tls, outputPath }: ExportArguments): Promise<string> {
  using bar = new ProgressBar(process.stderr);
  const interrupted = new AbortController();
  const interrupt = () => {
    interrupted.abort();
  };
  // Ctrl-C arrives twice: the terminal sends it, and npm passes it on.
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  const transport = isHttpUrl(address)
    ? createConnectTransport({
        baseUrl: address,
        httpVersion: "1.1",
        acceptCompression: [],
        nodeOptions: await readTls(tls),
      })
    : createGrpcTransport({ baseUrl: `http://${address}`, acceptCompression: [] });
  const { rowCount, sizeBytes } = await downloadExport(createClient(VehicleService, transport), {
    outputPath,
    token: tokenFile === undefined ? token : await readSecret(tokenFile),
    signal: interrupted.signal,
    onProgress: (doneBytes, totalBytes) => {
      bar.update(doneBytes, totalBytes);
    },
  });
  return `${outputPath}: ${rowCount} vehicles, ${sizeBytes} bytes`;
}

/** @throws RangeError when the file has more than a secret, as that of AUTH_TOKENS_FILE has. */
async function readSecret(path: string): Promise<string> {
  const secret = (await readFile(path, "utf8")).trim();
  if (!/^\S+$/.test(secret)) {
    throw new RangeError(`--token-file: expected the secret of a token, and nothing else, in ${path}`);
  }
  return secret;
}

async function readTls({ ca, cert, key }: TlsArguments): Promise<SecureContextOptions> {
  return {
    ...(ca === undefined ? {} : { ca: await readFile(ca) }),
    ...(cert === undefined || key === undefined ? {} : { cert: await readFile(cert), key: await readFile(key) }),
  };
}

function describe(error: unknown): string {
  if (error instanceof ConnectError) {
    // Errors of the service have details; this one is of TLS or HTTP.
    const isOfTransport = error.code === Code.Internal && error.details.length === 0;
    const hint = isOfTransport ? "; check --ca and --address: https:// with TLS, http:// or host:port without" : "";
    return `${error.rawMessage.trim()} (${Code[error.code]})${hint}`;
  }
  return error instanceof Error ? error.message : String(error);
}
