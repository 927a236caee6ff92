/** The snapshot cannot be unpacked. The message says why, and what to do where that is known; it is for the log. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
}
