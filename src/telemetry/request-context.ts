import { AsyncLocalStorage } from "node:async_hooks";

const requestIds = new AsyncLocalStorage<string>();

/**
 * Runs work on behalf of a request. Every line that the work logs has the request's id, including those of later
 * asynchronous steps. Shared work belongs to the request that started it.
 */
export function onBehalfOf<Result>(requestId: string, work: () => Result): Result {
  return requestIds.run(requestId, work);
}

/** The id of the request on whose behalf this code runs, if any. */
export function currentRequestId(): string | undefined {
  return requestIds.getStore();
}
