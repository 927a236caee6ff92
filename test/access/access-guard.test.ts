import { expect, test } from "vitest";

import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { TokenBook } from "../../src/access/token-book.ts";
import { digestOf } from "../../src/access/token.ts";

const ADDRESS = "10.0.0.1";
const now = (): number => 0;

function guardWith(secrets: readonly string[] | undefined): AccessGuard {
  const rates = { perSecond: 1, burst: 1, now };
  const tokens = secrets?.map((secret) => ({
    name: secret,
    digest: digestOf(secret),
    scopes: new Set(["lookup"] as const),
    expiresAt: undefined,
  }));
  return new AccessGuard({
    tokens: tokens === undefined ? undefined : { book: new TokenBook(tokens) },
    limiter: new RateLimiter(rates),
    strangers: new RateLimiter(rates),
    now,
  });
}

test("whose token is known is welcome until its rate is used up, and is charged nothing for the question", () => {
  const guard = guardWith(["a", "b"]);

  const asked = [1, 2, 3].map(() => guard.isWelcome("Bearer a", ADDRESS));
  guard.admit("Bearer a", ADDRESS);
  const after = [guard.isWelcome("Bearer a", ADDRESS), guard.isWelcome("Bearer b", ADDRESS)];

  expect([asked, after]).toEqual([
    [true, true, true],
    [false, true],
  ]);
});

test.each([undefined, "", "Basic a", "Bearer c", "Bearer"])("whose authorization is %j is not welcome", (given) => {
  const guard = guardWith(["a"]);

  expect(guard.isWelcome(given, ADDRESS)).toBe(false);
});

test("without tokens an address is welcome until its rate is used up", () => {
  const guard = guardWith(undefined);
  guard.admit(undefined, ADDRESS);

  const welcome = [guard.isWelcome(undefined, ADDRESS), guard.isWelcome(undefined, "10.0.0.2")];

  expect(welcome).toEqual([false, true]);
});
