import { parentPort, workerData } from "node:worker_threads";
import { toSnapshotError } from "./snapshot-error.ts";
import { unpackSnapshot, type UnpackJob, type UnpackMessage } from "./unpack.ts";

// The code of the thread that unpackInWorker starts.
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
