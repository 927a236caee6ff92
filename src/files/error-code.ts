/** The system's code of an error, such as ENOENT: its message has the path in it. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
