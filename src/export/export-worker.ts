import { parentPort, workerData } from "node:worker_threads";

import type { WriteJob } from "./write-job.ts";
import { writeVehicles } from "./write-vehicles.ts";

// The entry of the worker thread: `workerData` is a WriteJob, the one message a WriteReport.
const job: WriteJob = workerData;
const nothingToTransfer: never[] = [];
parentPort?.postMessage(await writeVehicles(job, Date.now), nothingToTransfer);
