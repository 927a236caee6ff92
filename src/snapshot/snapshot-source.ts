import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Logger } from "../telemetry/logger.ts";
import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../vehicle/vehicle.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import { decodeVin } from "./decode-vin.ts";
import { SnapshotError } from "./snapshot-error.ts";
import { openSnapshotFile, type OpenedSnapshot } from "./snapshot-file.ts";
import { bundledSourcePath, inspectSource } from "./source-file.ts";
import { toDecode } from "./to-decode.ts";
import { toSnapshotError } from "./to-snapshot-error.ts";
import { unpackInWorker } from "./unpack-in-worker.ts";
import { temporaryPathFor } from "./unpack.ts";

export interface SnapshotOptions {
  /** Where the unpacked snapshot is kept, 55 MB as `snapshot.db`; created when missing. */
  readonly dataDir: string;
  /** Another database of NHTSA's schema, SQLite or gzipped SQLite; by default the one that npm brought. */
  readonly snapshotPath?: string | undefined;
  readonly logger: Logger;
  /** The time, in ms since the epoch. */
  readonly now?: () => number;
}

/** Whether the snapshot can answer; for health and the page. */
export type SnapshotStatus =
  | { readonly state: "preparing" }
  /** The date of the newest data, such as `2026-02-17`. */
  | { readonly state: "ready"; readonly dataDate: string }
  | { readonly state: "unavailable"; readonly reason: string };

/** After a failure, how long before it is tried again. */
const RETRY_AFTER_MS = 60_000;
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|IOERR)/;

/**
 * Opens the embedded copy of NHTSA's database. Returns at once: the first time it is unpacked in the background, which
 * takes some seconds, and decodes wait for it. A failure is logged, and the next decode a minute later tries again.
 */
export function openSnapshot(options: SnapshotOptions): SnapshotSource {
  return new SnapshotSource(options);
}

/** Decodes VINs with the embedded copy of NHTSA's database, as NHTSA's own procedure does. */
export class SnapshotSource implements VehicleSource, AsyncDisposable {
  readonly name = "snapshot";
  readonly #options: SnapshotOptions;
  readonly #now: () => number;
  readonly #targetPath: string;
  readonly #closing = new AbortController();
  #opened: OpenedSnapshot | undefined;
  #failure: { readonly reason: string; readonly retryAt: number } | undefined;
  #loggedReason: string | undefined;
  /** When a damaged file may be replaced next, in ms since the epoch. */
  #rebuildFrom = 0;
  #preparation: Promise<void>;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#targetPath = join(options.dataDir, "snapshot.db");
    this.#preparation = this.#prepare();
  }

  status(): SnapshotStatus {
    if (this.#opened !== undefined) {
      return { state: "ready", dataDate: this.#opened.data.dataDate };
    }
    return this.#failure === undefined
      ? { state: "preparing" }
      : { state: "unavailable", reason: this.#failure.reason };
  }

  /** Resolves when the snapshot is ready or has failed to become so; never rejects. */
  async whenSettled(): Promise<void> {
    await this.#preparation;
  }

  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    signal.throwIfAborted();
    const opened = this.#opened ?? (await this.#open(signal));
    try {
      return this.#decodeWith(opened, query);
    } catch (error) {
      this.#replaceDamaged(opened, error);
    }
    return this.decode(query, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#preparation;
    this.#opened?.database.close();
    this.#opened = undefined;
    this.#failure = { reason: "it is closed", retryAt: Number.POSITIVE_INFINITY };
  }

  #decodeWith({ data }: OpenedSnapshot, query: VehicleQuery): Decode {
    const now = this.#now();
    return toDecode(data, query, decodeVin(data, query.vin, query.modelYear, now), now);
  }

  async #open(signal: AbortSignal): Promise<OpenedSnapshot> {
    if (this.#failure !== undefined && this.#now() >= this.#failure.retryAt) {
      this.#failure = undefined;
      this.#preparation = this.#prepare();
    }
    await waitFor(this.#preparation, signal);
    if (this.#opened === undefined) {
      const { reason = "it is not ready", retryAt = 0 } = this.#failure ?? {};
      const retryAfterMs = Number.isFinite(retryAt) ? Math.max(retryAt - this.#now(), 0) : undefined;
      throw new SourceUnavailableError(`the snapshot cannot be used: ${reason}`, { retryAfterMs });
    }
    return this.#opened;
  }

  /** Never rejects: how it went is in `#opened` and `#failure`. */
  async #prepare(): Promise<void> {
    const startedAt = this.#now();
    try {
      this.#opened = await this.#openOrUnpack();
      this.#loggedReason = undefined;
      this.#options.logger.info("snapshot ready", {
        dataDate: this.#opened.data.dataDate,
        durationMs: Math.round(this.#now() - startedAt),
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  async #openOrUnpack(): Promise<OpenedSnapshot> {
    const source = await inspectSource(this.#options.snapshotPath ?? bundledSourcePath());
    const found = openSnapshotFile(this.#targetPath, source.stamp);
    if (found.state === "sound") {
      return found;
    }
    const { logger } = this.#options;
    logger.info("snapshot is being unpacked", { found: found.state });
    const job = {
      source,
      targetPath: this.#targetPath,
      temporaryPath: temporaryPathFor(this.#targetPath, randomUUID()),
      nowMs: this.#now(),
    };
    await unpackInWorker(job, (step) => logger.info("snapshot unpacking goes on", { step }), this.#closing.signal);
    const unpacked = openSnapshotFile(this.#targetPath, source.stamp);
    if (unpacked.state !== "sound") {
      throw new SnapshotError("data directory", "what was unpacked cannot be read back");
    }
    return unpacked;
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) {
      return;
    }
    const { culprit, message } = toSnapshotError(error);
    const isGivenPath = culprit === "database" && this.#options.snapshotPath !== undefined;
    const reason = `${isGivenPath ? "SNAPSHOT_PATH" : `the ${culprit}`}: ${message}`;
    this.#failure = { reason, retryAt: this.#now() + RETRY_AFTER_MS };
    if (reason !== this.#loggedReason) {
      this.#loggedReason = reason;
      this.#options.logger.error("snapshot cannot be used, decoding goes on without it", { reason, err: error });
    }
  }

  /** A damaged file is deleted and unpacked anew, unless that was done just now; any other error is thrown. */
  #replaceDamaged(damaged: OpenedSnapshot, error: unknown): void {
    if (!(error instanceof Database.SqliteError) || !DAMAGE.test(error.code)) {
      throw new SourceUnavailableError("the snapshot cannot be read", { cause: error });
    }
    // Another decode may have found the damage first.
    if (this.#opened !== damaged) {
      return;
    }
    this.#options.logger.warn("snapshot is damaged", { err: error });
    this.#opened = undefined;
    damaged.database.close();
    if (this.#now() < this.#rebuildFrom) {
      this.#fail(error);
      return;
    }
    this.#rebuildFrom = this.#now() + RETRY_AFTER_MS;
    this.#preparation = rm(this.#targetPath, { force: true, recursive: true }).then(
      () => this.#prepare(),
      (cause: unknown) => this.#fail(cause),
    );
  }
}
