import type { RequestRate } from "../../../src/vehicle/fleet.ts";
import type { ReceivedRequest } from "../../support/fake-vpic.ts";
import type { Span } from "./replica.ts";

/** The longest delay of a request between the service and vPIC, if the machine is busy. */
const LATE_MS = 1_000;

/**
 * The number of requests over the budget in the window with the most. Negative if every window is within the budget.
 * Windows that overlap a time when a process decided alone do not count.
 */
export function budgetExcess(
  requests: readonly ReceivedRequest[],
  { requestsPerSecond, burst }: RequestRate,
  timesAlone: readonly Span[],
): number {
  let worst = -Infinity;
  for (const window of togetherIn(requests, timesAlone)) {
    const times = window.map(({ receivedAt }) => receivedAt).toSorted((a, b) => a - b);
    for (const [first, from] of times.entries()) {
      for (const [offset, to] of times.slice(first).entries()) {
        const allowed = burst + (requestsPerSecond * (to - from + LATE_MS)) / 1_000;
        worst = Math.max(worst, offset + 1 - allowed);
      }
    }
  }
  return worst;
}

/** The VINs for which vPIC got a request before it had answered an earlier one. */
export function askedTwiceAtOnce(requests: readonly ReceivedRequest[], timesAlone: readonly Span[]): string[] {
  const together = togetherIn(requests, timesAlone).flat();
  const answered = new Map<string, ReceivedRequest>();
  const twice: string[] = [];
  for (const request of together.toSorted((a, b) => a.receivedAt - b.receivedAt)) {
    for (const vin of request.vins) {
      const earlier = answered.get(vin);
      const lateMs = (earlier?.answeredAt ?? 0) - request.receivedAt;
      if (lateMs > 0) {
        twice.push(`${vin}, ${lateMs} ms before the answer to ${earlier?.vins.length} VINs`);
      }
      if (request.answeredAt !== undefined) {
        answered.set(vin, request);
      }
    }
  }
  return twice;
}

/** The requests that were sent while no process decided alone. The times when one did split them into groups. */
export function togetherIn(requests: readonly ReceivedRequest[], timesAlone: readonly Span[]): ReceivedRequest[][] {
  const windows = new Map<number, ReceivedRequest[]>();
  for (const request of requests) {
    const { receivedAt } = request;
    if (timesAlone.every(({ from, to }) => receivedAt < from || receivedAt > to)) {
      const before = timesAlone.filter(({ to }) => to < receivedAt).length;
      windows.set(before, [...(windows.get(before) ?? []), request]);
    }
  }
  return [...windows.values()];
}
