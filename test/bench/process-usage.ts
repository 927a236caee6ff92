import { readFile } from "node:fs/promises";

/** Linux counts CPU time in ticks of this length. */
const TICK_MS = 10;

/** CPU time of a process so far, in ms. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name, which may have blanks. Fields 14 and 15 are user and system time.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** What a process has read from disks so far, in bytes. Reads from the operating system's memory do not count. */
export async function diskBytesOf(pid: number): Promise<number> {
  return Number(/^read_bytes: (\d+)/m.exec(await readFile(`/proc/${pid}/io`, "utf8"))?.[1]);
}

/** The processes that a process has started and that still run. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim().split(" ").filter(Boolean).map(Number);
}

/** Current resident memory of a process, in MB. */
export async function rssMbOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024) / 1e6;
}
