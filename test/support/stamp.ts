let last = 0;

/** The time in ms since the epoch. Later than at every earlier call in this process, so that events have an order. */
export function stamp(): number {
  last = Math.max(Date.now(), last + 0.001);
  return last;
}
