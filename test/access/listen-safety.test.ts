import { expect, test } from "vitest";
import { findListenFault, isOpenToAll, createHostCheck } from "../../src/access/listen-safety.ts";

const anonymous = { hasTokens: false, allowAnonymous: false };

test.each(["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "localhost"])("%s needs no tokens", (host) => {
  expect(findListenFault({ ...anonymous, host })).toBeUndefined();
  expect(isOpenToAll({ ...anonymous, host })).toBe(false);
});

test.each(["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1", "example.com", "localhost.example.com"])(
  "%s without tokens is a fault that says what to set, unless it is allowed",
  (host) => {
    expect(findListenFault({ ...anonymous, host })).toMatch(/^HOST: .*AUTH_TOKENS_FILE.*ALLOW_ANONYMOUS=true/);
    expect(findListenFault({ ...anonymous, host, allowAnonymous: true })).toBeUndefined();
    expect(isOpenToAll({ ...anonymous, host, allowAnonymous: true })).toBe(true);
  },
);

test("any host may be listened on with tokens", () => {
  const safety = { host: "0.0.0.0", hasTokens: true, allowAnonymous: false };

  expect(findListenFault(safety)).toBeUndefined();
  expect(isOpenToAll(safety)).toBe(false);
});

test.each([
  ["tokens", { hasTokens: true, allowAnonymous: false }, false],
  ["everyone wanted", { hasTokens: false, allowAnonymous: true }, false],
  ["TLS", anonymous, true],
])("requests may be for any host with %s", (_case, safety, hasTls) => {
  expect(createHostCheck({ ...safety, host: "127.0.0.1" }, hasTls)).toBeUndefined();
});
