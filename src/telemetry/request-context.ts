import { AsyncLocalStorage } from "node:async_hooks";

const requestIds = new AsyncLocalStorage<string>();

/**
 * Does work on behalf of a request: every line that the work logs names it, however deep down and however late. Work that
 * several requests share is on behalf of the one that set it off.
 */
export function onBehalfOf<Result>(requestId: string, work: () => Result): Result {
  return requestIds.run(requestId, work);
}

/** The id of the request on whose behalf this runs; undefined when there is none. */
export function currentRequestId(): string | undefined {
  return requestIds.getStore();
}
