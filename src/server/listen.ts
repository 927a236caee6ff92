import { once } from "node:events";
import type { Server } from "node:net";

/** Options for the sockets of all connections. */
export const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };

/**
 * Makes a server listen, and returns its address as `host:port`.
 *
 * @param portName names the port in errors, such as `GRPC_PORT`
 * @param host such as `127.0.0.1` or `::`
 * @param port 0 picks a free one
 * @throws ListenError when the address is unavailable
 */
export async function listen(server: Server, portName: string, host: string, port: number): Promise<string> {
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new ListenError(portName, host, port, cause);
  }
  // A failure to accept one connection must not stop the service.
  server.on("error", () => undefined);
  const bound = server.address();
  return formatAddress(host, typeof bound === "object" && bound !== null ? bound.port : port);
}

/** The address of a listener is unavailable. The message is one line for the operator. */
export class ListenError extends Error {
  override readonly name = "ListenError";

  /** @param portName names the port, such as `GRPC_PORT` */
  constructor(portName: string, host: string, port: number, cause: unknown) {
    super(`${portName}: cannot listen on ${formatAddress(host, port)}: ${reasonOf(cause)}`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "no permission for this port",
  EADDRNOTAVAIL: "this machine does not have this address",
  ENOTFOUND: "the host name is unknown",
};

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
}

/** `host:port`, with brackets around an IPv6 address. */
function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
