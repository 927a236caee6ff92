import { findDecode } from "./answer.ts";
import type { Batch } from "./batch.ts";
import type { Call } from "./stop.ts";
import type { VpicTransport } from "./vpic-client.ts";
import { VpicFault } from "./vpic-fault.ts";

/**
 * Makes the call that all policies are wrapped around: one request for what is open in a batch. Rows answer the
 * questions for their VINs at once; a question without a row stays open, and the call fails.
 *
 * @param now the wall clock, in ms since the epoch.
 */
export function createAskVpic(transport: VpicTransport, now: () => number): Call<Batch> {
  return async (batch, { signal }) => {
    signal.throwIfAborted();
    batch.markSent();
    const asked = batch.openQuestions;
    const rows = await transport.fetchRows(
      asked.map(({ query }) => query),
      signal,
    );

    let answered = 0;
    for (const question of asked) {
      const decode = findDecode(rows, question.query.vin, now());
      if (decode !== undefined) {
        question.resolve(decode);
        answered += 1;
      }
    }
    if (answered < asked.length) {
      throw new VpicFault("missing-row", `${asked.length - answered} of ${asked.length} VINs have no row`, {
        partlyAnswered: answered > 0,
      });
    }
  };
}
