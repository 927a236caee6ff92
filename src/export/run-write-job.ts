import { Worker } from "node:worker_threads";
import { StoreUnavailableError } from "../vehicle/errors.ts";
import { ExportFailedError, ExportStorageError } from "./errors.ts";
import type { WriteJob, WriteReport, WrittenFile } from "./export-worker.ts";

const WORKER = new URL("export-worker.ts", import.meta.url);

/**
 * Many times what a row group needs. Without limits, the more memory the machine has, the more garbage the thread would
 * keep.
 */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/**
 * Writes the vehicles in a worker thread. When this returns or throws, the thread has ended.
 *
 * @param entry the module that the thread runs. Default: `export-worker.ts`.
 * @throws ExportStorageError when the disk has no room; StoreUnavailableError when the cache cannot be read, with the
 *   database's error as its cause; ExportFailedError for anything else; the reason of `signal` when aborted.
 */
export async function runWriteJob(job: WriteJob, signal: AbortSignal, entry = WORKER): Promise<WrittenFile> {
  signal.throwIfAborted();
  const worker = new Worker(entry, { workerData: job, resourceLimits: HEAP_LIMITS, name: "export" });
  try {
    const report = await waitForReport(worker, signal);
    if (report.kind === "written") {
      return report.file;
    }
    throw errorOf(report);
  } finally {
    await worker.terminate();
  }
}

async function waitForReport(worker: Worker, signal: AbortSignal): Promise<WriteReport> {
  const listening = new AbortController();
  try {
    return await new Promise<WriteReport>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", (cause) => {
        reject(new ExportFailedError("the export worker failed", { cause }));
      });
      worker.once("exit", (exitCode) => {
        reject(new ExportFailedError(`the export worker ended with ${exitCode} before its report`));
      });
      const abort = () => {
        reject(toError(signal.reason));
      };
      signal.addEventListener("abort", abort, { signal: listening.signal });
    });
  } finally {
    listening.abort();
  }
}

function errorOf(report: Exclude<WriteReport, { kind: "written" }>): Error {
  if (report.kind === "no-room") {
    return new ExportStorageError(report.message);
  }
  const cause = toError(report.error);
  return report.kind === "unreadable"
    ? new StoreUnavailableError("the cache cannot be read", { cause: Object.assign(cause, { code: report.code }) })
    : new ExportFailedError("the export could not be written", { cause });
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("the value thrown is not an Error", { cause: thrown });
}
