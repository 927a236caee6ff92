import { platform, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";

import type { WriteJob } from "./write-job.ts";
import { writeVehicles } from "./write-vehicles.ts";

/** Niceness: where processors are short, lookups come first. */
const NICENESS = 5;

// The entry of the worker thread: `workerData` is a WriteJob, the one message a WriteReport.
const job: WriteJob = workerData;
// On Linux this is the priority of the thread alone; elsewhere it would be that of the whole process.
if (platform() === "linux") {
  setPriority(NICENESS);
}
const nothingToTransfer: never[] = [];
parentPort?.postMessage(await writeVehicles(job, Date.now), nothingToTransfer);
