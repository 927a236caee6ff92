import { readFile } from "node:fs/promises";
import { systemCodeOf } from "../files/error-code.ts";
import { WatchedFiles } from "../files/watched-files.ts";
import type { Logger } from "../telemetry/logger.ts";
import { TokensFileError } from "./errors.ts";
import { parseTokens, TokenBook } from "./token-book.ts";

export interface TokensFileOptions {
  readonly path: string;
  readonly logger: Logger;
  /** How often the file is checked, in ms. Default: 1,000. A change takes effect within a few checks. */
  readonly pollMs?: number | undefined;
}

/**
 * The tokens file, reloaded when it changes.
 *
 * When a changed file is not usable, an error is logged and the previously loaded tokens remain in use, including any
 * that the change removes: refusing every caller because of a typing error would do more harm. A file without tokens is
 * usable: every caller is refused.
 */
export class TokensFile implements Disposable {
  readonly #files: WatchedFiles<TokenBook>;

  private constructor(files: WatchedFiles<TokenBook>) {
    this.#files = files;
  }

  /**
   * Reads the file and starts watching it.
   *
   * @throws TokensFileError when it cannot be read or is malformed
   */
  static async open({ path, logger, pollMs }: TokensFileOptions): Promise<TokensFile> {
    const files = await WatchedFiles.open({
      paths: [path],
      read: () => readBook(path),
      onChange(book) {
        logger.info("the tokens have changed", { tokens: book.size });
        warnOfNone(book, logger);
      },
      onFault(error) {
        const faults = error instanceof TokensFileError ? error.faults : ["it failed unexpectedly"];
        logger.error("AUTH_TOKENS_FILE is not usable; the previously loaded tokens remain in use", { faults });
      },
      pollMs,
    });
    warnOfNone(files.content, logger);
    return new TokensFile(files);
  }

  /** The current tokens. */
  get book(): TokenBook {
    return this.#files.content;
  }

  /** Whether the file has changed and is not usable. */
  get isFaulty(): boolean {
    return this.#files.isFaulty;
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

async function readBook(path: string): Promise<TokenBook> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new TokensFileError([`it cannot be read (${systemCodeOf(error)}); create it or correct the variable`]);
  }
  return new TokenBook(parseTokens(text));
}

function warnOfNone(book: TokenBook, logger: Logger): void {
  if (book.size === 0) {
    logger.warn("AUTH_TOKENS_FILE has no tokens: every caller is refused");
  }
}
