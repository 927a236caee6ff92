import { Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { ConnectionGate } from "../../../src/server/limits/connection-gate.ts";

/** A socket that is not connected but says where it comes from. */
function socketFrom(address: string): Socket {
  const socket = new Socket();
  Object.defineProperty(socket, "remoteAddress", { value: address });
  return socket;
}

describe("the gate for connections", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("destroys a connection beyond the limit of all", () => {
    const gate = new ConnectionGate({ maxOpen: 1 });
    gate.admit(socketFrom("10.0.0.1"));
    const second = socketFrom("10.0.0.2");

    const admitted = gate.admit(second);

    expect(admitted).toBe(false);
    expect(second.destroyed).toBe(true);
  });

  test("destroys a connection that was broken before it could be looked at", () => {
    const gate = new ConnectionGate();
    const broken = new Socket();

    const admitted = gate.admit(broken);

    expect([admitted, broken.destroyed]).toEqual([false, true]);
  });

  test("counts open connections by address", () => {
    const gate = new ConnectionGate({ maxOpenPerAddress: 1 });
    gate.admit(socketFrom("10.0.0.1"));

    const same = gate.admit(socketFrom("10.0.0.1"));
    const other = gate.admit(socketFrom("10.0.0.2"));

    expect([same, other]).toEqual([false, true]);
  });

  test("forgets connections that have closed", () => {
    const gate = new ConnectionGate({ maxOpenPerAddress: 1, maxOpen: 1 });
    const first = socketFrom("10.0.0.1");
    gate.admit(first);

    first.emit("close");

    expect(gate.admit(socketFrom("10.0.0.1"))).toBe(true);
  });

  test("counts for 10 s whatever becomes of the clock on the wall", () => {
    const gate = new ConnectionGate({ maxNewPerAddress: 1 });
    gate.admit(socketFrom("10.0.0.1"));
    vi.setSystemTime(0);
    vi.advanceTimersByTime(10_000);

    const admitted = gate.admit(socketFrom("10.0.0.1"));

    expect(admitted).toBe(true);
  });

  test("counts new connections for 10 s, closed or not", () => {
    const gate = new ConnectionGate({ maxNewPerAddress: 2 });
    const arrive = (): boolean => {
      const socket = socketFrom("10.0.0.1");
      const admitted = gate.admit(socket);
      socket.emit("close");
      return admitted;
    };

    const atOnce = [arrive(), arrive(), arrive()];
    vi.advanceTimersByTime(10_000);

    expect(atOnce).toEqual([true, true, false]);
    expect(arrive()).toBe(true);
  });

  test("counts the new connections of any 10 s, and only those let in", () => {
    const gate = new ConnectionGate({ maxNewPerAddress: 2 });
    const arrive = (): boolean => gate.admit(socketFrom("10.0.0.1"));

    const seen = [0, 9000, 500, 499, 1, 8999, 1].map((afterMs) => {
      vi.advanceTimersByTime(afterMs);
      return arrive();
    });

    expect(seen).toEqual([true, true, false, false, true, false, true]);
  });
});
