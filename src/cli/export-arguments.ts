import { parseArgs } from "node:util";

export interface ExportArguments {
  /** With a scheme: the Connect protocol at this base URL. Without: gRPC without TLS at this host and port. */
  readonly address: string;
  readonly token: string | undefined;
  /** Path of a file that holds the token instead. */
  readonly tokenFile: string | undefined;
  readonly tls: TlsArguments;
  readonly outputPath: string;
}

/** Paths of PEM files, for https. */
export interface TlsArguments {
  /** Whom to believe the service's certificate; the usual authorities when undefined. */
  readonly ca: string | undefined;
  /** The certificate to show, and its key: both or neither. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export const USAGE = `usage: npm run export -- [--address URL-or-host:port]
                         [--token-file FILE | --token TOKEN]
                         [--ca FILE] [--cert FILE --key FILE] OUT.parquet

  --address     http://127.0.0.1:8080 (the default) or another URL for Connect, host:port for gRPC without TLS
  --token-file  a file with nothing but the token that the service wants
  --token       the token itself; whoever can list the processes of this machine can read it
  --ca          the certificate of an authority of your own, as PEM, for https
  --cert        the certificate to show to a service that asks for one, as PEM, and with --key its private key`;

const DEFAULT_ADDRESS = "http://127.0.0.1:8080";

/** @throws TypeError or RangeError saying what is wrong with the arguments. */
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
    throw new RangeError("name one file to write");
  }
  const address = values.address ?? DEFAULT_ADDRESS;
  if (!isHttpUrl(address) && !isHostAndPort(address)) {
    throw new RangeError(`the address is neither an http URL nor host:port: ${address}`);
  }
  const { token, "token-file": tokenFile, ca, cert, key } = values;
  if (token !== undefined && tokenFile !== undefined) {
    throw new RangeError("give the token by --token-file or --token, not both");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new RangeError("--cert and --key need each other");
  }
  if ((ca ?? cert) !== undefined && !address.startsWith("https://")) {
    throw new RangeError("--ca, --cert and --key are for an https URL");
  }
  return { address, token, tokenFile, tls: { ca, cert, key }, outputPath };
}

/** Whether an address has a scheme, and so is for Connect. */
export function isHttpUrl(address: string): boolean {
  return /^https?:\/\//.test(address) && URL.canParse(address);
}

function isHostAndPort(address: string): boolean {
  return /^[^/]+:\d+$/.test(address) && URL.canParse(`http://${address}`);
}
