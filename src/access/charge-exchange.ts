import type { RateLimiter } from "./rate-limiter.ts";

/** Units charged to callers, for each limiter by its name. */
export type Charges = Readonly<Record<string, readonly (readonly [caller: string, units: number])[]>>;

/** Carries charges between the processes of a service. */
export interface ChargeExchange {
  /** Sends the charges of this process to the others. */
  publish(charges: Charges): void;
  /** Receives the charges of another process. */
  subscribe(receive: (charges: Charges) => void): void;
}

/** How often charges are exchanged. In between, a caller may use its burst in each process. */
const EXCHANGE_EVERY_MS = 100;

/** Makes the limits apply to all processes together. Dispose of the result to stop. */
export function shareCharges(limiters: Readonly<Record<string, RateLimiter>>, exchange: ChargeExchange): Disposable {
  exchange.subscribe((charges) => {
    for (const [name, entries] of Object.entries(charges)) {
      for (const [caller, units] of entries) {
        limiters[name]?.chargeFromElsewhere(caller, units);
      }
    }
  });
  const timer = setInterval(() => {
    const taken = Object.entries(limiters).map(([name, limiter]) => [name, limiter.takeCharges()] as const);
    if (taken.some(([, entries]) => entries.length > 0)) {
      exchange.publish(Object.fromEntries(taken));
    }
  }, EXCHANGE_EVERY_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
