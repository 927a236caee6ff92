/** A listener's address is unavailable. The message is one line for the operator. */
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
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
