import { stat } from "node:fs/promises";
import { systemCodeOf } from "./error-code.ts";

/** What is read from files, and who is told. */
export interface WatchedFilesOptions<T> {
  readonly paths: readonly string[];
  /** Reads all files. */
  readonly read: () => Promise<T>;
  /** Told of everything that was read after the start. */
  readonly onChange: (content: T) => void;
  /** Told of what `read` rejects with: once, however often it is tried. What was read before stays. */
  readonly onFault: (error: unknown) => void;
  /** How often the files are looked at, in ms. Default: 1,000. A change takes effect within five looks. */
  readonly pollMs?: number | undefined;
}

/** So often in a row may the files differ from one look to the next before they are read as they are. */
const MAX_RESTLESS_LOOKS = 3;

/**
 * What one or several files say, read again when they change.
 *
 * The files are polled: notifications of the file system get lost when a file is replaced, behind symbolic links as
 * Kubernetes mounts them, and on network file systems. A change counts once it has held still from one look to the next,
 * since files that belong together are seldom replaced in one go, and a file that is just being written is not whole;
 * but files that are written all the time are read all the same. Whatever cannot be read is tried again at each look.
 */
export class WatchedFiles<T> implements Disposable {
  readonly #options: WatchedFilesOptions<T>;
  readonly #timer: NodeJS.Timeout;
  #content: T;
  /** The state of the files that `content` is from. */
  #readState: string;
  #seenState: string;
  #restlessLooks = 0;
  #toldFault = "";
  #isLooking = false;

  private constructor(options: WatchedFilesOptions<T>, content: T, state: string) {
    this.#options = options;
    this.#content = content;
    this.#readState = state;
    this.#seenState = state;
    this.#timer = setInterval(() => void this.#look(), options.pollMs ?? 1_000).unref();
  }

  /** Reads the files and begins to watch them. Rejects with what `read` rejects with. */
  static async open<T>(options: WatchedFilesOptions<T>): Promise<WatchedFiles<T>> {
    // Taken before reading: should a file change meanwhile, the next look sees it.
    const state = await stateOf(options.paths);
    return new WatchedFiles(options, await options.read(), state);
  }

  /** What the files said when they could be read last. */
  get content(): T {
    return this.#content;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) {
      return;
    }
    this.#isLooking = true;
    try {
      const state = await stateOf(this.#options.paths);
      this.#restlessLooks = state === this.#seenState ? 0 : this.#restlessLooks + 1;
      this.#seenState = state;
      if (state === this.#readState) {
        this.#toldFault = "";
      } else if (this.#restlessLooks === 0 || this.#restlessLooks >= MAX_RESTLESS_LOOKS) {
        await this.#read(state);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  async #read(state: string): Promise<void> {
    try {
      const content = await this.#options.read();
      this.#content = content;
      this.#options.onChange(content);
      this.#toldFault = "";
      this.#readState = state;
    } catch (error) {
      const fault = String(error);
      if (fault !== this.#toldFault) {
        this.#toldFault = fault;
        this.#options.onFault(error);
      }
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
        return systemCodeOf(error);
      }
    }),
  );
  return states.join("; ");
}
