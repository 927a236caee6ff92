import { Worker } from "node:worker_threads";

import { ExportFailedError, ExportStorageError } from "./errors.ts";
import type { WriteJob, WriteReport, WrittenFile } from "./write-job.ts";

const WORKER = new URL("export-worker.ts", import.meta.url);

/** Many times what a row group needs; without it the collector would let garbage grow with the machine's memory. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/**
 * Has a worker thread write the vehicles. When it returns or throws, the thread has ended and writes no more.
 *
 * @param entry the module that the thread runs.
 * @throws ExportStorageError without room, ExportFailedError for anything else, the reason of `signal` when aborted.
 */
export async function runWriteJob(job: WriteJob, signal: AbortSignal, entry = WORKER): Promise<WrittenFile> {
  signal.throwIfAborted();
  const worker = new Worker(entry, {
    workerData: job,
    resourceLimits: HEAP_LIMITS,
    name: "export",
  });
  try {
    return toFile(await waitForReport(worker, signal));
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
        reject(new ExportFailedError("the worker of the export failed", { cause }));
      });
      worker.once("exit", (exitCode) => {
        reject(new ExportFailedError(`the worker of the export ended with ${exitCode} before its report`));
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

function toFile(report: WriteReport): WrittenFile {
  if (report.kind === "written") {
    return report.file;
  }
  throw report.kind === "no-room"
    ? new ExportStorageError(report.message)
    : new ExportFailedError("the export could not be written", { cause: report.error });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}
