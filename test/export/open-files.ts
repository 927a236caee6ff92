import { readdir, readlink } from "node:fs/promises";

/** The files of a directory: those that a process holds open, even without a name, and those that have a name. */
export async function filesIn(directory: string, pid = process.pid): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(descriptors.map((descriptor) => readTarget(`/proc/${pid}/fd/${descriptor}`)));
  return [...targets.filter((target) => target.startsWith(directory)), ...(await readdir(directory))];
}

async function readTarget(path: string): Promise<string> {
  try {
    return await readlink(path);
  } catch {
    // Closed meanwhile, like the descriptor that listed the directory.
    return "";
  }
}
