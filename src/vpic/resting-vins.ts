import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Vin } from "../vehicle/vin.ts";

const REST_MS = 30_000;
/** Limits memory. Beyond it, the rest of the longest-resting VINs ends early. */
const MAX_VINS = 10_000;

/**
 * VINs that vPIC failed to answer in every attempt. They are not sent again for 30 s, and the next source answers
 * instead.
 */
export class RestingVins {
  /** The end of each rest, on the monotonic clock, earliest first. */
  readonly #ends = new Map<Vin, number>();

  add(vins: readonly Vin[]): void {
    const now = performance.now();
    for (const vin of vins) {
      this.#ends.delete(vin);
      this.#ends.set(vin, now + REST_MS);
    }
    for (const [vin, end] of this.#ends) {
      if (end > now && this.#ends.size <= MAX_VINS) {
        return;
      }
      this.#ends.delete(vin);
    }
  }

  /** Ends every rest. */
  clear(): void {
    this.#ends.clear();
  }

  /** Why a VIN must not be sent to vPIC now, or undefined when it may be. */
  refusalOf(vin: Vin): SourceUnavailableError | undefined {
    const retryAfterMs = (this.#ends.get(vin) ?? 0) - performance.now();
    return retryAfterMs > 0
      ? new SourceUnavailableError("vPIC gave no answer for this VIN a moment ago", { retryAfterMs })
      : undefined;
  }
}
