import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Vin } from "../vehicle/vin.ts";

const COOLDOWN_MS = 30_000;
/** Limits memory. Beyond this number, the oldest cooldowns end early. */
const MAX_VINS = 10_000;

/**
 * The VINs that vPIC has just failed to answer in every attempt. They are not sent again for 30 s; the next source
 * answers instead.
 */
export class VinCooldown {
  /** The end of each VIN's cooldown, on the monotonic clock, earliest first. */
  readonly #ends = new Map<Vin, number>();

  add(vins: readonly Vin[]): void {
    const now = performance.now();
    for (const vin of vins) {
      this.#ends.delete(vin);
      this.#ends.set(vin, now + COOLDOWN_MS);
    }
    for (const [vin, end] of this.#ends) {
      if (end > now && this.#ends.size <= MAX_VINS) {
        return;
      }
      this.#ends.delete(vin);
    }
  }

  /** Ends every cooldown. */
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
