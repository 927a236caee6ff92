import { parentPort, workerData } from "node:worker_threads";
import type { Culprit } from "./snapshot-error.ts";
import { toSnapshotError } from "./to-snapshot-error.ts";
import { unpackSnapshot, type UnpackJob, type UnpackStep } from "./unpack.ts";

/** What the thread that unpacks says. */
export type UnpackMessage =
  | { readonly kind: "step"; readonly step: UnpackStep }
  | { readonly kind: "finished" }
  | { readonly kind: "failed"; readonly culprit: Culprit; readonly reason: string };

// The code of a thread of its own, so that the event loop stays free for callers: see unpackInWorker.
const job: UnpackJob = workerData;

function send(message: UnpackMessage): void {
  parentPort?.postMessage(message, []);
}

try {
  await unpackSnapshot(job, (step) => send({ kind: "step", step }));
  send({ kind: "finished" });
} catch (error) {
  const { culprit, message } = toSnapshotError(error);
  send({ kind: "failed", culprit, reason: message });
}
