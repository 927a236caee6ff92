import { stat } from "node:fs/promises";
import { systemCodeOf } from "./error-code.ts";

/** The files to watch, how to read them, and the callbacks. */
export interface WatchedFilesOptions<T> {
  readonly paths: readonly string[];
  /** Reads all files. */
  readonly read: () => Promise<T>;
  /** Called with the content after each change. */
  readonly onChange: (content: T) => void;
  /** Called once for each new fault of `read`. The previous content remains in use. */
  readonly onFault: (error: unknown) => void;
  /** How often the files are checked, in ms. Default: 1,000. A change takes effect within five checks. */
  readonly pollMs?: number | undefined;
  /** After this many checks in a row with changes, the files are read as they are. Default: 3. */
  readonly maxUnsettledChecks?: number | undefined;
}

const MAX_UNSETTLED_CHECKS = 3;

/**
 * The content of files, read again when they change.
 *
 * The files are polled, because notifications of the file system get lost when a file is replaced, behind symbolic
 * links such as those of Kubernetes, and on network file systems. A change is read once the files are the same in two
 * checks in a row, because files that belong together change one after the other. Files that keep changing are read
 * anyway. After a fault, each check tries again.
 */
export class WatchedFiles<T> implements Disposable {
  readonly #options: WatchedFilesOptions<T>;
  readonly #maxUnsettledChecks: number;
  readonly #timer: NodeJS.Timeout;
  #content: T;
  /** The state of the files when `content` was read. */
  #readState: string;
  #seenState: string;
  #unsettledChecks = 0;
  #reportedFault = "";
  #isChecking = false;

  private constructor(options: WatchedFilesOptions<T>, content: T, state: string) {
    this.#options = options;
    this.#maxUnsettledChecks = options.maxUnsettledChecks ?? MAX_UNSETTLED_CHECKS;
    this.#content = content;
    this.#readState = state;
    this.#seenState = state;
    this.#timer = setInterval(() => void this.#check(), options.pollMs ?? 1_000).unref();
  }

  /** Reads the files and starts watching them. Rejects with the error of `read`. */
  static async open<T>(options: WatchedFilesOptions<T>): Promise<WatchedFiles<T>> {
    // Taken before reading, so that the next check sees a change during it.
    const state = await stateOf(options.paths);
    return new WatchedFiles(options, await options.read(), state);
  }

  /** The content that was read last. */
  get content(): T {
    return this.#content;
  }

  /** Whether the files have changed and cannot be used. */
  get isFaulty(): boolean {
    return this.#reportedFault !== "";
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
      const state = await stateOf(this.#options.paths);
      this.#unsettledChecks = state === this.#seenState ? 0 : this.#unsettledChecks + 1;
      this.#seenState = state;
      if (state === this.#readState) {
        this.#reportedFault = "";
      } else if (this.#unsettledChecks === 0 || this.#unsettledChecks >= this.#maxUnsettledChecks) {
        await this.#read(state);
      }
    } finally {
      this.#isChecking = false;
    }
  }

  async #read(state: string): Promise<void> {
    try {
      const content = await this.#options.read();
      this.#content = content;
      this.#options.onChange(content);
      this.#reportedFault = "";
      this.#readState = state;
    } catch (error) {
      const fault = String(error);
      if (fault !== this.#reportedFault) {
        this.#reportedFault = fault;
        this.#options.onFault(error);
      }
    }
  }
}

/** Differs when a file was changed, replaced, deleted or created. */
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
