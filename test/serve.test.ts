import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { nextSignal } from "../src/serve.ts";

describe("a request to stop", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("is the first signal", async () => {
    const process = new EventEmitter();
    const signal = nextSignal(process);

    process.emit("SIGINT", "SIGINT");
    process.emit("SIGTERM", "SIGTERM");

    expect(await signal).toBe("SIGINT");
  });

  test("may arrive as several signals within a second", () => {
    const process = new EventEmitter();
    void nextSignal(process);

    process.emit("SIGINT", "SIGINT");
    vi.advanceTimersByTime(999);

    // A signal without a listener ends the process.
    expect(process.listenerCount("SIGINT")).toBe(1);
    expect(process.listenerCount("SIGTERM")).toBe(1);
  });

  test("is no longer awaited after a second, so that another signal ends the process", () => {
    const process = new EventEmitter();
    void nextSignal(process);

    process.emit("SIGTERM", "SIGTERM");
    vi.advanceTimersByTime(1_000);

    expect(process.listenerCount("SIGINT")).toBe(0);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });
});
