import { describe, expect, test } from "vitest";
import { AccessGuard, isRefusal, requireScope, toAnonymousRates } from "../../src/access/access-guard.ts";
import { ScopeMissingError } from "../../src/access/errors.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { TokenBook } from "../../src/access/token-book.ts";
import { digestOf } from "../../src/access/token.ts";

const ADDRESS = "10.0.0.1";
const now = (): number => 0;

function guardWith(secrets: readonly string[] | undefined, rates = { perSecond: 1, burst: 1 }): AccessGuard {
  const tokens = secrets?.map((secret) => ({
    name: secret,
    digest: digestOf(secret),
    scopes: new Set(["lookup"] as const),
    expiresAt: undefined,
  }));
  return new AccessGuard({
    tokens: tokens === undefined ? undefined : { book: new TokenBook(tokens) },
    limiter: new RateLimiter({ ...rates, now }),
    anonymous: new RateLimiter({ ...toAnonymousRates(rates), now }),
    now,
  });
}

describe("admission", () => {
  test("identifies a caller by its token", () => {
    const caller = guardWith(["a", "b"]).admit("Bearer b", ADDRESS);

    expect(caller).toMatchObject({ name: "b", scopes: new Set(["lookup"]) });
    expect(isRefusal(caller)).toBe(false);
  });

  test("without tokens identifies a caller by its address, and allows everything", () => {
    const caller = guardWith(undefined).admit("Bearer whatever", "2001:db8:0:0::/64");

    expect(caller).toEqual({ name: "2001:db8:0:0::/64", scopes: new Set(["lookup", "remove", "export"]) });
  });

  test.each([
    [undefined, "TOKEN_MISSING"],
    ["", "TOKEN_MISSING"],
    ["Basic a", "TOKEN_MISSING"],
    ["Bearer", "TOKEN_MISSING"],
    ["Bearer c", "TOKEN_UNKNOWN"],
  ])("refuses the authorization %j, and waiting does not help", (authorization, reason) => {
    const outcome = guardWith(["a"]).admit(authorization, ADDRESS);

    expect(outcome).toEqual({ reason, retryAfterMs: 0 });
  });

  test.each([
    ["a token", ["a"]],
    ["an address", undefined],
  ])("refuses %s beyond its rate with the time to wait", (_whose, secrets) => {
    const guard = guardWith(secrets, { perSecond: 4, burst: 1 });
    guard.admit("Bearer a", ADDRESS);

    const outcome = guard.admit("Bearer a", ADDRESS);

    expect(outcome).toEqual({ reason: "RATE_LIMITED", retryAfterMs: 250 });
    expect(isRefusal(outcome)).toBe(true);
  });

  test("gives an address a burst of 100 without a valid token, apart from the rates of tokens", () => {
    const guard = guardWith(["a"], { perSecond: 1_000, burst: 10_000 });
    const reasonOf = (authorization: string | undefined, address = ADDRESS): string => {
      const outcome = guard.admit(authorization, address);
      return isRefusal(outcome) ? outcome.reason : "admitted";
    };

    const reasons = Array.from({ length: 102 }, (_, index) => reasonOf(index % 2 === 0 ? undefined : "Bearer guess"));

    expect(reasons.filter((reason) => reason === "RATE_LIMITED")).toHaveLength(2);
    expect(reasons.slice(100)).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
    expect(reasonOf("Bearer a")).toBe("admitted");
    expect(reasonOf(undefined, "10.0.0.2")).toBe("TOKEN_MISSING");
  });

  test("without tokens gives an address its whole burst", () => {
    const guard = guardWith(undefined, { perSecond: 1_000, burst: 150 });

    const outcomes = Array.from({ length: 151 }, () => guard.admit(undefined, ADDRESS));

    expect(outcomes.filter(isRefusal)).toHaveLength(1);
  });
});

test.each([
  [
    { perSecond: 1_000, burst: 10_000 },
    { perSecond: 100, burst: 100 },
  ],
  [
    { perSecond: 5, burst: 20 },
    { perSecond: 5, burst: 20 },
  ],
])("with rates of %j, calls without a valid token have %j", (rates, expected) => {
  expect(toAnonymousRates(rates)).toEqual(expected);
});

test("a caller without the scope is refused", () => {
  const caller = { name: "a", scopes: new Set(["lookup"] as const) };

  expect(() => requireScope(caller, "remove")).toThrow(new ScopeMissingError("remove"));
  expect(() => requireScope(caller, "lookup")).not.toThrow();
});

test("isTokenValid recognizes a valid token, and charges nothing", () => {
  const guard = guardWith(["a"]);

  const asked = [1, 2, 3].map(() => guard.isTokenValid("Bearer a"));
  const admitted = guard.admit("Bearer a", ADDRESS);

  expect(asked).toEqual([true, true, true]);
  expect(isRefusal(admitted)).toBe(false);
});

test.each([undefined, "", "Basic a", "Bearer c", "Bearer"])("the authorization %j is not a valid token", (given) => {
  expect(guardWith(["a"]).isTokenValid(given)).toBe(false);
});

test("without tokens no token is valid", () => {
  expect(guardWith(undefined).isTokenValid("Bearer a")).toBe(false);
});
