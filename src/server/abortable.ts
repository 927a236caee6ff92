/** Something that may be cut short while others wait for it. */
export interface CutShort {
  /** The work's outcome, or a rejection as soon as the call is cut short, whatever the work does. */
  unlessCutShort<T>(work: Promise<T>): Promise<T>;
}

/**
 * The messages of a handler's stream, mapped. Waiting for the next one ends with an error as soon as the call is cut
 * short, even if the handler goes on; the handler is then asked to return, and what becomes of it is nobody's concern.
 */
export function abortable<T, U>(messages: AsyncIterable<T>, call: CutShort, map: (message: T) => U): AsyncIterable<U> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await call.unlessCutShort(source.next());
          return result.done === true ? { done: true, value: undefined } : { done: false, value: map(result.value) };
        },
        async return() {
          // Not awaited: a generator that hangs would never answer.
          source.return?.().catch(ignore);
          return { done: true, value: undefined };
        },
        async throw(reason: unknown) {
          const asked = source.throw?.(reason) ?? source.return?.();
          asked?.catch(ignore);
          throw reason;
        },
      };
    },
  };
}

function ignore(): void {}
