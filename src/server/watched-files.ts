import { stat } from "node:fs/promises";

/**
 * Calls `onChange` when one of the files has changed and then held still from one look to the next: several files that
 * belong together are seldom replaced in one go.
 *
 * The files are polled: notifications of the file system get lost behind symbolic links, as Kubernetes mounts them, and
 * on network file systems.
 */
export class WatchedFiles implements Disposable {
  readonly #paths: readonly string[];
  readonly #onChange: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #readState: string;
  #seenState: string;
  #isChecking = false;

  private constructor(paths: readonly string[], state: string, pollMs: number, onChange: () => Promise<void>) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#readState = state;
    this.#seenState = state;
    this.#timer = setInterval(() => void this.#check(), pollMs).unref();
  }

  /** Begins to watch. Read the files afterwards: what changes from now on is told. `onChange` must not reject. */
  static async watch(paths: readonly string[], pollMs: number, onChange: () => Promise<void>): Promise<WatchedFiles> {
    return new WatchedFiles(paths, await stateOf(paths), pollMs, onChange);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    if (this.#isChecking) {
      return;
    }
    this.#isChecking = true;
    try {
      // Taken before reading: should a file change meanwhile, the next look sees it.
      const state = await stateOf(this.#paths);
      const holdsStill = state === this.#seenState;
      this.#seenState = state;
      if (holdsStill && state !== this.#readState) {
        this.#readState = state;
        await this.#onChange();
      }
    } finally {
      this.#isChecking = false;
    }
  }
}

/** Differs whenever a file does: changed in place, replaced, gone or back. */
async function stateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
      } catch (error) {
        return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
      }
    }),
  );
  return states.join("; ");
}
