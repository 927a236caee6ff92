import { parseArgs } from "node:util";

export interface ExportArguments {
  /** A base URL for the Connect protocol, or `host:port` for gRPC without TLS. */
  readonly address: string;
  readonly token: string | undefined;
  /** Path of a file with the secret of the token, and nothing else. */
  readonly tokenFile: string | undefined;
  readonly tls: TlsArguments;
  readonly outputPath: string;
}

/** Paths of PEM files, for https. */
export interface TlsArguments {
  /** The authorities whose certificates are trusted. Default: those of Node. */
  readonly ca: string | undefined;
  /** The client certificate and its key: both or neither. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export const USAGE = `usage: npm run export -- [--address URL-or-host:port]
                         [--token-file FILE | --token TOKEN]
                         [--ca FILE] [--cert FILE --key FILE] OUT.parquet

  --address     a URL for Connect, or host:port for gRPC without TLS (default: http://127.0.0.1:8080)
  --token-file  file with the secret of a token, and nothing else
  --token       the token; other users of this machine can see it in the list of processes
  --ca          PEM file with the certificate authority to trust, for https
  --cert        PEM file with the client certificate, for https
  --key         PEM file with the private key of the client certificate`;

const DEFAULT_ADDRESS = "http://127.0.0.1:8080";

/** @throws TypeError or RangeError that names the wrong argument. */
export function parseExportArguments(args: readonly string[]): ExportArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      address: { type: "string" },
      token: { type: "string" },
      "token-file": { type: "string" },
      ca: { type: "string" },
      cert: { type: "string" },
      key: { type: "string" },
    },
    allowPositionals: true,
  });
  const [outputPath, ...rest] = positionals;
  if (outputPath === undefined || rest.length > 0) {
    throw new RangeError("expected one output file");
  }
  const address = values.address ?? DEFAULT_ADDRESS;
  if (!isHttpUrl(address) && !isHostAndPort(address)) {
    throw new RangeError(`--address: expected a URL or host:port, not ${address}`);
  }
  const { token, "token-file": tokenFile, ca, cert, key } = values;
  if (token !== undefined && tokenFile !== undefined) {
    throw new RangeError("use either --token-file or --token");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new RangeError("--cert and --key must be given together");
  }
  if ((ca ?? cert) !== undefined && !address.startsWith("https://")) {
    throw new RangeError("--ca, --cert and --key need an https:// address");
  }
  return { address, token, tokenFile, tls: { ca, cert, key }, outputPath };
}

/** Whether an address is a URL, and so means Connect. */
export function isHttpUrl(address: string): boolean {
  return /^https?:\/\//.test(address) && URL.canParse(address);
}

function isHostAndPort(address: string): boolean {
  return /^[^/]+:\d+$/.test(address) && URL.canParse(`http://${address}`);
}
