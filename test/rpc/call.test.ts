import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { CallInit } from "../../src/rpc/call.ts";
import { Call, callOf, contextValuesOf } from "../../src/rpc/call.ts";
import { serveEcho } from "../support/echo-service.ts";

const REASON = new ConnectError("enough", Code.Aborted);

function aCall(init: Partial<CallInit> = {}, rule = {}): Call {
  const [method] = serveEcho({ unary: ({ value }) => ({ value }) }, rule);
  if (method === undefined) {
    throw new Error("the service has no method");
  }
  const usual = { protocol: "grpc", requestId: "r-1", address: "::1", authorization: undefined } as const;
  return new Call({ method, ...usual, timeoutMs: undefined, ...init });
}

describe("the deadline of a call", () => {
  test.each([
    ["the default when the client sets none", undefined, 1_000],
    ["the client's", 1_500, 1_500],
    ["the maximum when the client's is later", 5_000, 2_000],
  ])("is %s", (_which, timeoutMs, expected) => {
    const call = aCall({ timeoutMs }, { defaultTimeoutMs: 1_000, maxTimeoutMs: 2_000 });

    expect(call.deadlineAt - call.startedAt).toBeCloseTo(expected, 6);
    expect(call.timeoutMs()).toBeLessThanOrEqual(expected);
  });
});

describe("the signal of a call", () => {
  test("is always the same, and not aborted while the call runs", () => {
    const call = aCall();

    expect(call.signal).toBe(call.signal);
    expect(call.signal.aborted).toBe(false);
  });

  test.each([true, false])("says why the call was cut short (created before: %s)", (isAskedBefore) => {
    const call = aCall();
    const before = isAskedBefore ? call.signal : undefined;

    call.cut(REASON);

    expect(call.signal.reason).toBe(REASON);
    expect(before?.reason).toBe(isAskedBefore ? REASON : undefined);
  });

  test.each([true, false])("is aborted when the call has ended (created before: %s)", (isAskedBefore) => {
    const call = aCall();
    const before = isAskedBefore ? call.signal : undefined;

    call.end(undefined);

    expect(call.signal.reason).toMatchObject({ name: "AbortError" });
    expect(before?.aborted).toBe(isAskedBefore ? true : undefined);
  });
});

describe("a cut", () => {
  test("keeps its first reason", () => {
    const call = aCall();

    call.cut(REASON);
    call.expire();
    call.cancel();

    expect(call.cutBy).toBe(REASON);
  });

  test("does nothing to a call that has ended", () => {
    const call = aCall();
    call.end(undefined);

    call.cut(REASON);

    expect(call.cutBy).toBeUndefined();
  });

  test("by the deadline does not end the call, which has yet to be answered", () => {
    const call = aCall();

    call.expire();

    expect([call.cutBy?.code, call.hasEnded]).toEqual([Code.DeadlineExceeded, false]);
  });

  test("by the client ends the call", () => {
    const call = aCall();

    call.cancel();

    expect([call.cutBy?.code, call.hasEnded, call.code]).toEqual([Code.Canceled, true, Code.Canceled]);
  });
});

describe("the end of a call", () => {
  test("is reported once, to listeners first", () => {
    const calls: unknown[] = [];
    const call = aCall({ onEnd: (ended) => calls.push(["host", ended.code, ended.hasEnded]) });
    call.onEnd((code) => calls.push(["first", code]));
    call.onEnd((code) => calls.push(["second", code]));

    call.end(Code.NotFound);
    call.end(undefined);
    call.cancel();

    expect(calls).toEqual([
      ["first", Code.NotFound],
      ["second", Code.NotFound],
      ["host", Code.NotFound, true],
    ]);
    expect(call.code).toBe(Code.NotFound);
  });

  test("has no code on success", () => {
    const codes: unknown[] = [];
    const call = aCall();
    call.onEnd((code) => codes.push(code));

    call.end(undefined);

    expect([codes, call.code, call.hasEnded]).toEqual([[undefined], undefined, true]);
  });
});

test("context values hold the call, and missing calls are a fault of the transport", () => {
  const call = aCall();

  expect(callOf(contextValuesOf(call))).toBe(call);
  expect(() => callOf(createContextValues())).toThrow("without its Call");
});
