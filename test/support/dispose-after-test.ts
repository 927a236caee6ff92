import { onTestFinished } from "vitest";

/** Disposes of a resource when the running test has finished, the latest one first. */
export function disposeAfterTest<T extends Disposable | AsyncDisposable>(resource: T): T {
  onTestFinished(async () => {
    await (Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose]());
  });
  return resource;
}
