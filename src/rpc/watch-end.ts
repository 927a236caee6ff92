import { Code } from "@connectrpc/connect";
import { codeOf } from "./error-table.ts";

/**
 * The same messages, and once their end: undefined when they have all been read, CANCELED when the reader has left,
 * also before the first one, else the code of the error.
 */
export function watchEnd<T>(messages: AsyncIterable<T>, onEnd: (code: Code | undefined) => void): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      let hasEnded = false;
      const end = (code: Code | undefined): void => {
        if (!hasEnded) {
          hasEnded = true;
          onEnd(code);
        }
      };
      return {
        async next() {
          try {
            const result = await source.next();
            if (result.done === true) {
              end(undefined);
            }
            return result;
          } catch (error) {
            end(codeOf(error));
            throw error;
          }
        },
        async return() {
          end(Code.Canceled);
          await source.return?.();
          return { done: true, value: undefined };
        },
        async throw(error: unknown) {
          end(codeOf(error));
          await source.throw?.(error);
          throw error;
        },
      };
    },
  };
}
