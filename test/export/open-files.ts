import { readdir, readlink } from "node:fs/promises";

/** What this process holds open in a directory, files without a name too, and what stands there by name. */
export async function filesIn(directory: string): Promise<string[]> {
  const descriptors = await readdir("/proc/self/fd");
  const targets = await Promise.all(descriptors.map(readTarget));
  return [...targets.filter((target) => target.startsWith(directory)), ...(await readdir(directory))];
}

async function readTarget(descriptor: string): Promise<string> {
  try {
    return await readlink(`/proc/self/fd/${descriptor}`);
  } catch {
    // Closed meanwhile, as the one that listed the directory is.
    return "";
  }
}
