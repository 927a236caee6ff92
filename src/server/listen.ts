import type { Server as NetServer } from "node:net";

/** A listener cannot have its address; the message is one line for the operator. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  /** Which listener, such as `gRPC`. */
  readonly listener: string;
  readonly host: string;
  readonly port: number;

  constructor(listener: string, host: string, port: number, cause: unknown) {
    super(`${listener}: cannot listen on ${formatAddress(host, port)}: ${reasonOf(cause)}`, { cause });
    this.listener = listener;
    this.host = host;
    this.port = port;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "no permission for this port",
  EADDRNOTAVAIL: "this machine does not have this address",
  ENOTFOUND: "the host name is unknown",
};

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return reasons[code] ?? (cause instanceof Error ? cause.message : String(cause));
}

/** `host:port`, with brackets around an IPv6 address. */
function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Listens, and gives the address as `host:port` with the port that was picked if 0 was asked for.
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function listen(server: NetServer, listener: string, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error): void => {
      reject(new ListenError(listener, host, port, cause));
    };
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.off("error", onError);
      resolve();
    });
  });
  const bound = server.address();
  return formatAddress(host, typeof bound === "object" && bound !== null ? bound.port : port);
}
