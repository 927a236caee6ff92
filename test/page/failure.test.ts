import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { toFailure, watchedFetch } from "../../src/page/failure.ts";

function errorOf(code: Code, message: string, reason?: string, retrySeconds?: bigint): ConnectError {
  const error = new ConnectError(message, code);
  if (reason !== undefined) {
    const metadata: Record<string, string> = reason === "VIN_NOT_DECODED" ? { likely_vin: "1XPWD40X1ED215307" } : {};
    error.details.push({ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, metadata }) });
  }
  if (retrySeconds !== undefined) {
    const value = create(RetryInfoSchema, { retryDelay: { seconds: retrySeconds } });
    error.details.push({ desc: RetryInfoSchema, value });
  }
  return error;
}

test.each([
  [errorOf(Code.Unauthenticated, "no", "TOKEN_MISSING"), "token", /needs a token/],
  [errorOf(Code.Unauthenticated, "no", "TOKEN_UNKNOWN"), "token", /unknown or has expired/],
  [
    errorOf(Code.PermissionDenied, 'the token lacks the scope "export"; contact the operator', "SCOPE_MISSING"),
    "scope",
    /^The token lacks the scope "export"; contact the operator\.$/,
  ],
  [errorOf(Code.NotFound, "no source knows", "VIN_NOT_DECODED"), "not-decoded", /^No source knows\.$/],
  [errorOf(Code.ResourceExhausted, "slow", "RATE_LIMITED", 3n), "limited", /rate limit.*in 3 seconds/],
  [errorOf(Code.ResourceExhausted, "slow", "OVERLOADED", 1n), "limited", /busy.*in 1 second\./],
  [errorOf(Code.ResourceExhausted, "big", "MESSAGE_TOO_LARGE"), "final", /^Big\.$/],
  [errorOf(Code.Unavailable, "no", "NO_SOURCE_AVAILABLE", 5n), "transient", /neither vPIC nor the snapshot.*5 seconds/],
  [errorOf(Code.Unavailable, "no", "CACHE_UNAVAILABLE", 5n), "transient", /cache cannot be reached/],
  [errorOf(Code.DeadlineExceeded, "late"), "transient", /in time/],
  [errorOf(Code.Internal, "internal error; quote request id 7", "INTERNAL"), "final", /request id 7/],
  [errorOf(Code.InvalidArgument, "missing EndStreamResponse"), "transient", /broke off/],
  [new TypeError("network error"), "transient", /broke off/],
])("%s is said in words", (error, kind, sentence) => {
  const failure = toFailure(error);

  expect(failure).toMatchObject({ kind, sentence: expect.stringMatching(sentence) });
});

test("a VIN that no source knows may have a likely VIN", () => {
  expect(toFailure(errorOf(Code.NotFound, "unknown", "VIN_NOT_DECODED")).likelyVin).toBe("1XPWD40X1ED215307");
});

test.each([
  ["RATE_LIMITED", "The rate limit of the service is reached."],
  ["OVERLOADED", "The service is busy."],
])("for %s there is also a sentence without the delay", (reason, sentence) => {
  expect(toFailure(errorOf(Code.ResourceExhausted, "slow", reason, 3n)).cause).toBe(sentence);
});

test("the delay that the service asks for is kept", () => {
  expect(toFailure(errorOf(Code.ResourceExhausted, "slow", "RATE_LIMITED", 3n)).retryAfterMs).toBe(3_000);
});

async function failureOf(answer: () => Response | Promise<Response>): Promise<string> {
  const fetched = watchedFetch(async () => answer())("http://127.0.0.1/");
  return await fetched.then(
    () => "none",
    (error: unknown) => toFailure(ConnectError.from(error)).sentence,
  );
}

test("a lost network, a proxy's page and the router's own message are distinguished", async () => {
  const lost = await failureOf(() => Promise.reject(new TypeError("Failed to fetch")));
  const page = await failureOf(() => new Response("<h1>", { status: 502, headers: { "content-type": "text/html" } }));
  const text = await failureOf(
    () => new Response("wrong host\n", { status: 421, headers: { "content-type": "text/plain; charset=utf-8" } }),
  );
  const good = await failureOf(() => new Response("{}", { headers: { "content-type": "application/json" } }));

  expect(lost).toMatch(/cannot be reached/);
  expect(page).toMatch(/^A proxy answered instead of the service \(HTTP 502/);
  expect(text).toBe("HTTP 421: wrong host");
  expect(good).toBe("none");
});
