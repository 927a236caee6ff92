import type { FileHandle } from "node:fs/promises";
import { openTemporaryFile } from "../export/temporary-file.ts";

const MEMORY_BYTES = 1024 * 1024;
const READ_BYTES = 65_536;

/**
 * Keeps an answer until its client reads it. The first mebibyte stays in memory, the rest goes to a temporary file. The
 * producer never waits for the client, so a client that sends its whole request before it reads cannot block itself.
 */
export class AnswerSpool implements AsyncDisposable {
  readonly #directory: string;
  readonly #memory: Buffer[] = [];
  #memoryBytes = 0;
  #file: FileHandle | undefined;
  #readTo = 0;
  #writtenTo = 0;
  #end: { readonly error?: unknown } | undefined;
  #wake = (): void => {};

  /** @param directory for the temporary file, which is created when it is needed */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Writes text. Await each call before the next one. */
  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const isFileRead = this.#readTo === this.#writtenTo;
    if (isFileRead && this.#memoryBytes + bytes.length <= MEMORY_BYTES) {
      this.#memory.push(bytes);
      this.#memoryBytes += bytes.length;
    } else {
      if (isFileRead) {
        // Reuses the space in the file.
        this.#readTo = 0;
        this.#writtenTo = 0;
      }
      this.#file ??= await openTemporaryFile(this.#directory);
      await this.#file.write(bytes, 0, bytes.length, this.#writtenTo);
      this.#writtenTo += bytes.length;
    }
    this.#wake();
  }

  /** Ends the answer. @param error thrown to the reader after all text. Default: none, and the reader ends normally. */
  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake();
  }

  /** The answer so far and everything written later, in order. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const bytes = this.#takeMemory() ?? (await this.#readFile());
      if (bytes !== undefined) {
        yield bytes;
      } else if (this.#end === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if ("error" in this.#end) {
        throw this.#end.error;
      } else {
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }

  #takeMemory(): Buffer | undefined {
    const bytes = this.#memory.shift();
    this.#memoryBytes -= bytes?.length ?? 0;
    return bytes;
  }

  async #readFile(): Promise<Uint8Array | undefined> {
    if (this.#readTo === this.#writtenTo || this.#file === undefined) {
      return undefined;
    }
    const size = Math.min(this.#writtenTo - this.#readTo, READ_BYTES);
    const { bytesRead, buffer } = await this.#file.read(Buffer.alloc(size), 0, size, this.#readTo);
    this.#readTo += bytesRead;
    return buffer.subarray(0, bytesRead);
  }
}
