import { readFile } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";
import type { Client, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { UsageError } from "./command.ts";

/** The options of commands that call a running service, for `parseArguments`. */
export const SERVICE_OPTIONS = {
  address: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
  ca: { type: "string" },
  cert: { type: "string" },
  key: { type: "string" },
} as const;

/** Their help, after `--address`. */
export const SERVICE_HELP = `  --token-file FILE   a file with the secret of a token, and nothing else
  --token TOKEN       the secret itself. Other users of this machine can see it, so
                      --token-file is safer
  --ca FILE           for https: the certificate authority to trust, as a PEM file
  --cert FILE         for https: the certificate of this client, as a PEM file
  --key FILE          for https: the private key of that certificate, as a PEM file`;

/** Where the service is and how to call it. */
export interface ServiceArguments {
  /** A base URL for the Connect protocol, or `host:port` for gRPC without TLS. */
  readonly address: string;
  readonly token: string | undefined;
  /** Path of a file with the secret of the token, and nothing else. */
  readonly tokenFile: string | undefined;
  readonly tls: TlsArguments;
}

/** Paths of PEM files, for https. */
interface TlsArguments {
  /** The authorities whose certificates are trusted. Default: those of Node. */
  readonly ca: string | undefined;
  /** The client certificate and its key: both or neither. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

type ServiceValues = { readonly [Name in keyof typeof SERVICE_OPTIONS]?: string | undefined };

/**
 * For commands that need no service.
 *
 * @returns undefined without an address.
 * @throws UsageError that names the wrong option.
 */
export function readOptionalService(values: ServiceValues): ServiceArguments | undefined {
  if (values.address !== undefined) {
    return readServiceArguments(values, values.address);
  }
  const name = Object.keys(SERVICE_OPTIONS).find((option) => option in values);
  if (name !== undefined) {
    throw new UsageError(`--${name} needs --address`);
  }
  return undefined;
}

/** @throws UsageError that names the wrong option. */
export function readServiceArguments(values: ServiceValues, address: string): ServiceArguments {
  if (!isHttpUrl(address) && !isHostAndPort(address)) {
    throw new UsageError(`--address: expected a URL or host:port, not ${address}`);
  }
  const { token, "token-file": tokenFile, ca, cert, key } = values;
  if (token !== undefined && tokenFile !== undefined) {
    throw new UsageError("use either --token-file or --token");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--cert and --key must be given together");
  }
  if ((ca ?? cert) !== undefined && !address.startsWith("https://")) {
    throw new UsageError("--ca, --cert and --key need an https:// address");
  }
  return { address, token, tokenFile, tls: { ca, cert, key } };
}

/** Opens a client of a running service that sends the token with each call. Reads the files. */
export async function openServiceClient({
  address,
  token,
  tokenFile,
  tls,
}: ServiceArguments): Promise<Client<typeof VehicleService>> {
  const secret = tokenFile === undefined ? token : await readSecret(tokenFile);
  const interceptors: Interceptor[] = secret === undefined ? [] : [withToken(secret)];
  const transport = isHttpUrl(address)
    ? createConnectTransport({
        baseUrl: address,
        httpVersion: "1.1",
        acceptCompression: [],
        nodeOptions: await readTls(tls),
        interceptors,
      })
    : createGrpcTransport({ baseUrl: `http://${address}`, acceptCompression: [], interceptors });
  return createClient(VehicleService, transport);
}

/** The codes of refused and lost connections, and of addresses at which something else answers. */
const CONNECTION_CODES = new Set([Code.Unavailable, Code.Aborted, Code.Canceled, Code.Internal]);

/** Whether an error is of TCP, TLS, HTTP or a proxy. Errors of the service have details. */
export function isOfConnection({ code, details }: ConnectError): boolean {
  return details.length === 0 && CONNECTION_CODES.has(code);
}

/** An error for the user, in one line. */
export function describeFault(error: unknown): string {
  if (error instanceof ConnectError) {
    return `${error.rawMessage.trim()} (${Code[error.code]})${hintFor(error)}`;
  }
  return error instanceof Error ? error.message : String(error);
}

function hintFor(error: ConnectError): string {
  if (!isOfConnection(error)) {
    return "";
  }
  return error.code === Code.Unavailable
    ? "; check that the service runs at this address"
    : "; check --ca and --address: https:// with TLS, http:// or host:port without";
}

function withToken(secret: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${secret}`);
    return next(request);
  };
}

/** Whether an address is a URL, and so means Connect. */
function isHttpUrl(address: string): boolean {
  return /^https?:\/\//.test(address) && URL.canParse(address);
}

function isHostAndPort(address: string): boolean {
  return /^[^/]+:\d+$/.test(address) && URL.canParse(`http://${address}`);
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
