import { expect, test } from "vitest";

import { readRetryAfterMs } from "../../src/vpic/retry-after.ts";

const NOW = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT");

test.each([
  [undefined, undefined],
  ["0", 0],
  [" 120 ", 120_000],
  ["Wed, 21 Oct 2026 07:28:30 GMT", 30_000],
  ["Wed, 21 Oct 2026 07:00:00 GMT", 0],
  ["soon", undefined],
  ["", undefined],
  ["-5 seconds", undefined],
])("Retry-After %j means %j ms", (header, expected) => {
  const retryAfterMs = readRetryAfterMs(header, NOW);

  expect(retryAfterMs).toBe(expected);
});
