/** A terminal or another stream. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 30;
export const CLEAR_LINE = "\r\u001B[K";
const MEBIBYTE = 1_048_576;

/** Shows the progress of a download. Draws nothing into a file or a pipe. */
export class ProgressBar implements Disposable {
  readonly #output: ProgressOutput;
  #drawn = "";

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** @param totalBytes 0 counts as complete. */
  update(doneBytes: number, totalBytes: number): void {
    const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
    const filled = Math.floor(share * WIDTH);
    const bar = "#".repeat(filled) + "-".repeat(WIDTH - filled);
    const percent = String(Math.floor(share * 100)).padStart(3);
    const line = `[${bar}] ${percent}% of ${(totalBytes / MEBIBYTE).toFixed(1)} MiB`;
    if (this.#output.isTTY === true && line !== this.#drawn) {
      this.#drawn = line;
      this.#output.write(CLEAR_LINE + line);
    }
  }

  [Symbol.dispose](): void {
    if (this.#drawn !== "") {
      this.#output.write(CLEAR_LINE);
    }
  }
}
