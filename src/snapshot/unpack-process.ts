import { toSnapshotError } from "./snapshot-error.ts";
import { unpackSnapshot, type UnpackJob, type UnpackMessage } from "./unpack.ts";

// The code of the process that unpackInProcess starts.
const job: UnpackJob = JSON.parse(process.argv[2] ?? "");

function send(message: UnpackMessage): void {
  process.send?.(message);
}

// A terminal sends Ctrl-C to both processes. The parent decides when this one ends.
process.on("SIGINT", () => undefined);
// Without its parent the work is of no use.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
try {
  await unpackSnapshot(job, (step, percent) => send({ kind: "step", step, percent }));
  send({ kind: "finished" });
} catch (error) {
  const { culprit, message } = toSnapshotError(error);
  send({ kind: "failed", culprit, reason: message });
}
