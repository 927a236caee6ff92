import { readdir, readlink } from "node:fs/promises";

/** The files of a directory: those that this process holds open, even without a name, and those that have a name. */
export async function filesIn(directory: string): Promise<string[]> {
  const descriptors = await readdir("/proc/self/fd");
  const targets = await Promise.all(descriptors.map(readTarget));
  return [...targets.filter((target) => target.startsWith(directory)), ...(await readdir(directory))];
}

async function readTarget(descriptor: string): Promise<string> {
  try {
    return await readlink(`/proc/self/fd/${descriptor}`);
  } catch {
    // Closed meanwhile, like the descriptor that listed the directory.
    return "";
  }
}
