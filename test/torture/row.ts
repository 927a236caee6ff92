import type { Finding } from "./finding.ts";
import { Target } from "./target.ts";

/** One row of the table of faults and attacks. */
export interface Row {
  /** As in the table, such as `10b`. */
  readonly number: string;
  readonly title: string;
  /** Where its counts are tested: in `npm test`, only by CI, or nowhere. */
  readonly test: "always" | "ci" | "never";
  run(arena: Arena): AsyncIterable<Finding>;
}

/** What rows attack: two services that they share, started when they are needed, and databases. */
export class Arena implements AsyncDisposable {
  /** Whether to attack with full force. Otherwise, an attack takes seconds. */
  readonly isFull: boolean;
  /** Creates an empty PostgreSQL database and returns its URL. */
  readonly createDatabase: (name: string) => Promise<string>;
  readonly #targets = new Map<boolean, Promise<Target>>();

  constructor(isFull: boolean, createDatabase: Arena["createDatabase"]) {
    this.isFull = isFull;
    this.createDatabase = createDatabase;
  }

  /** The service with or without TLS. */
  target(isSecured: boolean): Promise<Target> {
    const target = this.#targets.get(isSecured) ?? Target.start({ isSecured, isWarm: this.isFull });
    this.#targets.set(isSecured, target);
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#targets.values()) {
      await (await target)[Symbol.asyncDispose]();
    }
  }
}
