import { parseArgs } from "node:util";

export interface ExportArguments {
  /** With a scheme: the Connect protocol at this base URL. Without: gRPC without TLS at this host and port. */
  readonly address: string;
  readonly token: string | undefined;
  readonly outputPath: string;
}

export const USAGE = `usage: npm run export -- [--address URL-or-host:port] [--token TOKEN] OUT.parquet

  --address  http://127.0.0.1:8080 (the default) or another URL for Connect, host:port for gRPC without TLS;
             for https with an authority of your own, set NODE_EXTRA_CA_CERTS to its certificate
  --token    what the service wants as a bearer token`;

const DEFAULT_ADDRESS = "http://127.0.0.1:8080";

/** @throws TypeError or RangeError saying what is wrong with the arguments. */
export function parseExportArguments(args: readonly string[]): ExportArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { address: { type: "string" }, token: { type: "string" } },
    allowPositionals: true,
  });
  const [outputPath, ...rest] = positionals;
  if (outputPath === undefined || rest.length > 0) {
    throw new RangeError("name one file to write");
  }
  const address = values.address ?? DEFAULT_ADDRESS;
  if (!isHttpUrl(address) && !isHostAndPort(address)) {
    throw new RangeError(`the address is neither an http URL nor host:port: ${address}`);
  }
  return { address, token: values.token, outputPath };
}

/** Whether an address has a scheme, and so is for Connect. */
export function isHttpUrl(address: string): boolean {
  return /^https?:\/\//.test(address) && URL.canParse(address);
}

function isHostAndPort(address: string): boolean {
  return /^[^/]+:\d+$/.test(address) && URL.canParse(`http://${address}`);
}
