import { Worker } from "node:worker_threads";
import { SnapshotError } from "./snapshot-error.ts";
import { removeTemporaries, type UnpackJob, type UnpackStep } from "./unpack.ts";
import type { UnpackMessage } from "./unpack-worker.ts";

/**
 * Unpacks in a thread of its own; it takes a second or two of one core.
 *
 * @param signal stops the work and removes what is in progress.
 * @throws SnapshotError saying why it failed; the reason of `signal` when aborted.
 */
export async function unpackInWorker(
  job: UnpackJob,
  report: (step: UnpackStep) => void,
  signal: AbortSignal,
): Promise<void> {
  const worker = new Worker(new URL("./unpack-worker.ts", import.meta.url), {
    workerData: job,
    // Options of the process, such as those for code given on the command line, can be unfit for a file.
    execArgv: [],
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  worker.on("message", (message: UnpackMessage) => {
    if (message.kind === "step") {
      report(message.step);
    } else if (message.kind === "finished") {
      resolve();
    } else {
      reject(new SnapshotError(message.culprit, message.reason));
    }
  });
  worker.once("error", (cause) =>
    reject(new SnapshotError("data directory", "the thread that unpacks failed", { cause })),
  );
  worker.once("exit", () => reject(new SnapshotError("data directory", "the thread that unpacks ended early")));
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await worker.terminate();
    await removeTemporaries(job.temporaryPath);
  }
}
