import type { ProgressOutput } from "./progress-bar.ts";
import { CLEAR_LINE } from "./progress-bar.ts";

export interface Progress {
  readonly rows: number;
  readonly failed: number;
  /** How much is done, from 0 to 1; undefined when the size is unknown. */
  readonly share: number | undefined;
}

const REDRAW_MS = 200;

/** Shows the progress of a long command on one line. Draws nothing into a file or a pipe. */
export class ProgressLine implements Disposable {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #firstRow: number;
  #firstShare: number | undefined;
  #drawnAt = -Infinity;

  /**
   * @param firstRow rows that an earlier run has done.
   * @param now monotonic clock, ms.
   */
  constructor(output: ProgressOutput, firstRow = 0, now = (): number => performance.now()) {
    this.#output = output;
    this.#firstRow = firstRow;
    this.#now = now;
    this.#startedAt = now();
  }

  update({ rows, failed, share }: Progress): void {
    const now = this.#now();
    this.#firstShare ??= this.#firstRow > 0 ? share : 0;
    if (this.#output.isTTY !== true || now - this.#drawnAt < REDRAW_MS) {
      return;
    }
    this.#drawnAt = now;
    const elapsedMs = Math.max(now - this.#startedAt, 1);
    const rate = Math.round(((rows - this.#firstRow) / elapsedMs) * 1_000);
    const parts = [`${count(rows)} rows`, `${count(failed)} failed`, `${count(rate)} rows/s`];
    const done = (share ?? 0) - (this.#firstShare ?? 0);
    if (share !== undefined && done > 0) {
      parts.push(`${Math.floor(share * 100)} %`, `${formatSeconds((elapsedMs / done) * (1 - share))} left`);
    }
    this.#output.write(CLEAR_LINE + parts.join(", "));
  }

  [Symbol.dispose](): void {
    if (this.#drawnAt !== -Infinity) {
      this.#output.write(CLEAR_LINE);
    }
  }
}

/** A count with thousands separated. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

function formatSeconds(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}
