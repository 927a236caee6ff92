import { AsyncLocalStorage } from "node:async_hooks";

const requestIds = new AsyncLocalStorage<string>();

/**
 * Does work on behalf of a request: every line that the work logs names it, however deep down and however late. Work that
 * several requests share is on behalf of the one that set it off.
 */
export function onBehalfOf<Result>(requestId: string, work: () => Result): Result {
  return requestIds.run(requestId, work);
}

/** The same for values that are made one after the other, whoever asks for them, and for what is done at their end. */
export function eachOnBehalfOf<T>(requestId: string, values: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = values[Symbol.asyncIterator]();
      const nothing: IteratorResult<T> = { done: true, value: undefined };
      return {
        next: () => onBehalfOf(requestId, () => source.next()),
        return: () => onBehalfOf(requestId, async () => (await source.return?.()) ?? nothing),
        throw: (reason: unknown) =>
          onBehalfOf(requestId, async () => {
            await (source.throw?.(reason) ?? source.return?.());
            throw reason;
          }),
      };
    },
  };
}

/** The id of the request on whose behalf this runs; undefined when there is none. */
export function currentRequestId(): string | undefined {
  return requestIds.getStore();
}
