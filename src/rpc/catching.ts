/** The messages, with the errors of their source passed through `fail`; those of the reader are none of it. */
export function catching<T>(messages: AsyncIterable<T>, fail: (error: unknown) => never): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      return {
        next: async () => await source.next().catch(fail),
        return: async () => (await source.return?.()) ?? { done: true, value: undefined },
        throw: async (reason: unknown) => {
          if (source.throw === undefined) {
            throw reason;
          }
          return await source.throw(reason);
        },
      };
    },
  };
}
