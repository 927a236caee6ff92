import { readFile, stat } from "node:fs/promises";
import type { Logger } from "../telemetry/logger.ts";
import { TokensFileError } from "./errors.ts";
import { parseTokens } from "./parse-tokens.ts";
import { TokenBook } from "./token-book.ts";

export interface TokensFileOptions {
  readonly path: string;
  readonly logger: Logger;
  /** How often the file is looked at, in ms. Default: 1,000. A change takes effect within two looks. */
  readonly pollMs?: number;
}

/**
 * The file of tokens, read again when it changes.
 *
 * The file is polled: notifications of the file system get lost when it is replaced, behind symbolic links as
 * Kubernetes mounts them, and on network file systems. A change counts once it has held still from one look to the
 * next, so that a file that is just being written is not taken for one without tokens.
 */
export class TokensFile implements Disposable {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #book: TokenBook;
  /** The state of the file that was read last, usable or not. */
  #readState: string;
  #seenState: string;
  #isChecking = false;

  private constructor({ path, logger, pollMs = 1_000 }: TokensFileOptions, book: TokenBook, state: string) {
    this.#path = path;
    this.#logger = logger;
    this.#book = book;
    this.#readState = state;
    this.#seenState = state;
    this.#timer = setInterval(() => void this.#check(), pollMs).unref();
  }

  /**
   * Reads the file and begins to watch it.
   *
   * @throws TokensFileError when it cannot be read or is not as it should be
   */
  static async open(options: TokensFileOptions): Promise<TokensFile> {
    const state = await stateOf(options.path);
    const book = await readBook(options.path);
    return new TokensFile(options, book, state);
  }

  /** The tokens as they stand now. */
  get book(): TokenBook {
    return this.#book;
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
      // Taken before reading: should the file change meanwhile, the next look sees it.
      const state = await stateOf(this.#path);
      const holdsStill = state === this.#seenState;
      this.#seenState = state;
      if (holdsStill && state !== this.#readState) {
        this.#readState = state;
        await this.#read();
      }
    } finally {
      this.#isChecking = false;
    }
  }

  async #read(): Promise<void> {
    try {
      this.#book = await readBook(this.#path);
      this.#logger.info("the tokens have changed", { tokens: this.#book.size });
    } catch (error) {
      const faults = error instanceof TokensFileError ? error.faults : ["it failed unexpectedly"];
      this.#logger.error("AUTH_TOKENS_FILE is not usable; the tokens read before stay in force", { faults });
    }
  }
}

async function readBook(path: string): Promise<TokenBook> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new TokensFileError([`it cannot be read (${codeOf(error)}); create it or correct the variable`]);
  }
  return new TokenBook(parseTokens(text));
}

/** Differs whenever the file does: changed in place, replaced, gone or back. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return codeOf(error);
  }
}

/** The system's code of an error, such as ENOENT: its message has the path in it. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
