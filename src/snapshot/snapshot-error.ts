/** What a fault lies in: the database that the snapshot is made from, or the place where it is to be kept. */
export type Culprit = "database" | "data directory";

/** The snapshot cannot be unpacked. The message says why, and what to do where that is known; it is for the log. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
  readonly culprit: Culprit;

  constructor(culprit: Culprit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.culprit = culprit;
  }
}
