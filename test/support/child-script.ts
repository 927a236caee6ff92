import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";

/** Runs a script in a process of its own. It answers each message with one. Dispose of it to end it. */
export class ChildScript<Question extends object, Answer> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;

  constructor(script: URL) {
    this.#child = fork(script, { execArgv: [] });
    this.#gone = once(this.#child, "exit");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error when the process ends instead of answering */
  async ask(question: Question): Promise<Answer> {
    const answered = once(this.#child, "message");
    this.#child.send(question);
    const [answer]: (Answer | undefined)[] = await Promise.race([answered, this.#gone.then(() => [])]);
    if (answer === undefined) {
      throw new Error("the process ended before it answered");
    }
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }
}
