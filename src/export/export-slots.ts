import { ExportLimitError } from "./errors.ts";

/** How many exports may run at once. */
export interface ExportLimits {
  /** Of one client. */
  readonly perClient: number;
  /** In this process. */
  readonly perProcess: number;
}

/** An export takes seconds. */
const RETRY_AFTER_MS = 5_000;

/** Counts the exports that run. */
export class ExportSlots {
  readonly #limits: ExportLimits;
  readonly #takenBy = new Map<string, number>();
  #taken = 0;

  constructor(limits: ExportLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a slot until the result is disposed.
   *
   * @throws ExportLimitError when there is none.
   */
  take(client: string): Disposable {
    const ofClient = this.#takenBy.get(client) ?? 0;
    if (ofClient >= this.#limits.perClient) {
      throw new ExportLimitError(`${ofClient} exports of this client run already`, RETRY_AFTER_MS);
    }
    if (this.#taken >= this.#limits.perProcess) {
      throw new ExportLimitError(`${this.#taken} exports run already`, RETRY_AFTER_MS);
    }
    this.#takenBy.set(client, ofClient + 1);
    this.#taken++;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) {
          isTaken = false;
          this.#giveBack(client);
        }
      },
    };
  }

  #giveBack(client: string): void {
    this.#taken--;
    const left = (this.#takenBy.get(client) ?? 1) - 1;
    if (left > 0) {
      this.#takenBy.set(client, left);
    } else {
      this.#takenBy.delete(client);
    }
  }
}
