import { randomUUID } from "node:crypto";
import { basename, join } from "node:path";
import { WatchedFiles } from "../files/watched-files.ts";
import type { Logger } from "../telemetry/logger.ts";
import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../vehicle/vehicle.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import { decodeVin } from "./decode-vin.ts";
import type { SnapshotData } from "./snapshot-data.ts";
import { SnapshotError, SourceChangedError, toSnapshotError } from "./snapshot-error.ts";
import { openSnapshotFile } from "./snapshot-file.ts";
import { bundledSourcePath, hasChanged, inspectSource, type SourceFile } from "./source-file.ts";
import { toDecode } from "./to-decode.ts";
import { removeLeftovers, unpackInProcess, type ReportStep } from "./unpack.ts";

export interface SnapshotOptions {
  /** The directory for the unpacked snapshot (`snapshot.bin`, 20 MB); created when missing. */
  readonly dataDir: string;
  /**
   * NHTSA's monthly file, `vPICList_lite_YYYY_MM.plain.zip` or the `.sql` in it, or a SQLite database with the schema
   * of the embedded one, optionally gzipped. It is watched: when it changes, it is unpacked in the background and
   * replaces the previous data. Default: the embedded database.
   */
  readonly snapshotPath?: string | undefined;
  /**
   * Whether another process unpacks it into the data directory. This process then only reads it, and reads it again
   * whenever it is replaced. Default: no.
   */
  readonly isUnpackedElsewhere?: boolean | undefined;
  /** How often that file is checked for changes, in ms. Default: 1,000. */
  readonly pollMs?: number | undefined;
  readonly logger: Logger;
  /** The time, in ms since the epoch. */
  readonly now?: () => number;
  /** Monotonic clock for retries and durations, ms. Default: the process's. */
  readonly elapsedMs?: () => number;
}

/** Whether the snapshot can answer; for health and the page. */
export type SnapshotStatus =
  | { readonly state: "preparing" }
  /** The date of the newest data, such as `2026-02-17`, or the month of NHTSA's file, such as `2026-10`. */
  | { readonly state: "ready"; readonly dataDate: string }
  | { readonly state: "unavailable"; readonly reason: string };

/** The pause after a failure before the next attempt. */
const RETRY_AFTER_MS = 60_000;

/**
 * Opens the embedded copy of NHTSA's database. Returns at once: the first time, the database is unpacked in the
 * background for some seconds, and decodes wait for it. A failure is logged; the first decode after a minute tries
 * again.
 */
export function openSnapshot(options: SnapshotOptions): SnapshotSource {
  return new SnapshotSource(options);
}

/** Decodes VINs with the embedded copy of NHTSA's database, as NHTSA's own procedure does. */
export class SnapshotSource implements VehicleSource, AsyncDisposable {
  readonly name = "snapshot";
  readonly #options: SnapshotOptions;
  readonly #now: () => number;
  readonly #elapsedMs: () => number;
  readonly #targetPath: string;
  readonly #closing = new AbortController();
  #data: SnapshotData | undefined;
  /** The stamp of the file that the data came from. */
  #stamp = "";
  #failure: { readonly reason: string; readonly retryAt: number } | undefined;
  #loggedReason: string | undefined;
  /** A file that cannot be used is not read again until it changes. */
  #refused: { readonly identity: string; readonly error: SnapshotError } | undefined;
  #preparation: Promise<void>;
  #watched: WatchedFiles<void> | undefined;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#elapsedMs = options.elapsedMs ?? (() => performance.now());
    this.#targetPath = join(options.dataDir, "snapshot.bin");
    const watchedPath = options.isUnpackedElsewhere === true ? this.#targetPath : options.snapshotPath;
    this.#preparation = watchedPath === undefined ? this.#prepare() : this.#prepareAndWatch(watchedPath);
  }

  status(): SnapshotStatus {
    if (this.#data !== undefined) {
      return { state: "ready", dataDate: this.#data.dataDate };
    }
    return this.#failure === undefined
      ? { state: "preparing" }
      : { state: "unavailable", reason: this.#failure.reason };
  }

  /** The date of the data, as in {@link SnapshotStatus}; undefined until it is ready. */
  get dataDate(): string | undefined {
    return this.#data?.dataDate;
  }

  /** Resolves when the snapshot is ready or cannot be prepared; never rejects. */
  async whenSettled(): Promise<void> {
    await this.#preparation;
  }

  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    signal.throwIfAborted();
    if (this.#failure !== undefined && this.#elapsedMs() >= this.#failure.retryAt) {
      void this.#prepareAgain();
    }
    const data = this.#data ?? (await this.#open(signal));
    const now = this.#now();
    return toDecode(data, query, decodeVin(data, query.vin, query.modelYear, now), now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#preparation;
    this.#watched?.[Symbol.dispose]();
    this.#data = undefined;
    this.#failure = { reason: "it is closed", retryAt: Number.POSITIVE_INFINITY };
  }

  async #open(signal: AbortSignal): Promise<SnapshotData> {
    await waitFor(this.#preparation, signal);
    if (this.#data === undefined) {
      const { reason = "it is not ready", retryAt = 0 } = this.#failure ?? {};
      const retryAfterMs = Number.isFinite(retryAt) ? Math.max(retryAt - this.#elapsedMs(), 0) : undefined;
      throw new SourceUnavailableError(`the snapshot cannot be used: ${reason}`, { retryAfterMs });
    }
    return this.#data;
  }

  async #prepareAndWatch(path: string): Promise<void> {
    this.#watched = await WatchedFiles.open({
      paths: [path],
      read: () => (this.#watched === undefined ? this.#prepare() : this.#prepareAgain()),
      onChange: () => undefined,
      onFault: (error) => this.#fail(error),
      pollMs: this.#options.pollMs,
      // A partial file is useless, and a download may take minutes.
      maxUnsettledChecks: Infinity,
    });
  }

  /** Runs one after the other. Meanwhile, decodes use the previous data. */
  #prepareAgain(): Promise<void> {
    this.#failure = undefined;
    this.#preparation = this.#preparation.then(() => this.#prepare());
    return this.#preparation;
  }

  /** Never rejects: the result is in `#data` and `#failure`. */
  async #prepare(): Promise<void> {
    if (this.#closing.signal.aborted) {
      return;
    }
    const startedAt = this.#elapsedMs();
    const previousDate = this.#data?.dataDate;
    try {
      const source = await inspectSource(this.#options.snapshotPath ?? bundledSourcePath());
      if (source.stamp !== this.#stamp) {
        this.#data = await this.#openOrUnpack(source);
        this.#stamp = source.stamp;
        const dataDate = this.#data.dataDate;
        const durationMs = Math.round(this.#elapsedMs() - startedAt);
        if (previousDate === undefined) {
          this.#options.logger.info("snapshot ready", { dataDate, durationMs });
        } else {
          this.#options.logger.info("snapshot replaced", { dataDate, previousDate, durationMs });
        }
      }
      this.#loggedReason = undefined;
    } catch (error) {
      this.#fail(error);
    }
  }

  async #openOrUnpack(source: SourceFile): Promise<SnapshotData> {
    if (source.identity === this.#refused?.identity) {
      throw this.#refused.error;
    }
    const found = await openSnapshotFile(this.#targetPath, source.stamp);
    const isUnpackedElsewhere = this.#options.isUnpackedElsewhere === true;
    if (found.state === "sound") {
      if (!isUnpackedElsewhere) {
        await this.#cleanUp(source.path);
      }
      return found.data;
    }
    if (isUnpackedElsewhere) {
      throw new SnapshotError("data directory", `the snapshot is ${found.state}, and another process unpacks it`);
    }
    await this.#unpack(source, found.state);
    const unpacked = await openSnapshotFile(this.#targetPath, source.stamp);
    if (unpacked.state !== "sound") {
      throw new SnapshotError("data directory", "the unpacked snapshot cannot be read");
    }
    return unpacked.data;
  }

  async #unpack(source: SourceFile, found: string): Promise<void> {
    const { logger } = this.#options;
    logger.info("unpacking the snapshot", { file: basename(source.path), found });
    const job = { source, targetPath: this.#targetPath, uniquePart: randomUUID() };
    const report: ReportStep = (step, percent) => logger.info("unpacking the snapshot", { step, percent });
    try {
      await unpackInProcess(job, report, this.#closing.signal);
    } catch (error) {
      if (await hasChanged(source)) {
        throw new SourceChangedError({ cause: error });
      }
      if (error instanceof SnapshotError && error.culprit === "database") {
        this.#refused = { identity: source.identity, error };
      }
      throw error;
    }
  }

  async #cleanUp(sourcePath: string): Promise<void> {
    try {
      await removeLeftovers(this.#targetPath, sourcePath);
    } catch (error) {
      this.#options.logger.warn("cannot remove files of an earlier unpacking", { err: error });
    }
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) {
      return;
    }
    const { culprit, message } = toSnapshotError(error);
    const isGivenPath = culprit === "database" && this.#options.snapshotPath !== undefined;
    const reason = `${isGivenPath ? "SNAPSHOT_PATH" : `the ${culprit}`}: ${message}`;
    this.#failure = { reason, retryAt: this.#elapsedMs() + RETRY_AFTER_MS };
    if (error instanceof SourceChangedError) {
      this.#options.logger.info("snapshot not used: its file changed while it was unpacked", { reason });
    } else if (reason !== this.#loggedReason) {
      this.#loggedReason = reason;
      const consequence =
        this.#data === undefined ? "decoding continues without it" : "the previous one remains in use";
      this.#options.logger.error(`snapshot cannot be used; ${consequence}`, { reason, err: error });
    }
  }
}
