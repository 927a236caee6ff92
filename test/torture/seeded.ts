/** Pseudo-random numbers from 0 to below 1 that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A copy of the bytes with one to six changes at or after the given position. */
export function mutate(bytes: Buffer, random: () => number, from = 0): Buffer {
  const mutated = Buffer.from(bytes);
  const changes = 1 + Math.floor(random() * 6);
  for (let change = 0; change < changes; change++) {
    const at = from + Math.floor(random() * (bytes.byteLength - from));
    mutated[at] = Math.floor(random() * 256);
  }
  return mutated;
}

/** Runs some work many times, a few at once. */
export async function inParallel(count: number, atOnce: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      await run(next++);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
