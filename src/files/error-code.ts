/** The system's code of an error, such as ENOENT. Unlike the message, it does not contain the path. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
