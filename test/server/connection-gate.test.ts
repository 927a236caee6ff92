import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import type { ConnectionLimits } from "../../src/server/connection-gate.ts";
import { ConnectionGate } from "../../src/server/connection-gate.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

function socketFrom(remoteAddress?: string) {
  return Object.assign(new EventEmitter(), { remoteAddress });
}

function setUp(limits: Partial<ConnectionLimits> = {}) {
  const clock = { now: 5_000 };
  const logger = new MemoryLogger();
  const gate = new ConnectionGate({ limits, logger, now: () => clock.now });
  /** Opens connections from an address, one after the other. Returns whether each is admitted. */
  const arrive = (address: string, count = 1): boolean[] =>
    Array.from({ length: count }, () => gate.admit(socketFrom(address)));
  return { gate, clock, logger, arrive };
}

test.each([
  ["all open connections", { maxOpen: 2 }, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], [true, true, false]],
  ["those of an address", { maxOpenPerAddress: 1 }, ["10.0.0.1", "10.0.0.1", "10.0.0.2"], [true, false, true]],
  ["those of an IPv6 network", { maxOpenPerAddress: 1 }, ["2001::1", "2001::2", "2001:0:0:1::1"], [true, false, true]],
])("the gate limits %s", (_what, limits, addresses, admitted) => {
  const { arrive } = setUp(limits);

  expect(addresses.flatMap((address) => arrive(address))).toEqual(admitted);
});

test("the gate by default accepts 500 from one address and 4,000 in total", () => {
  const { arrive } = setUp();

  const ofOne = arrive("10.0.0.0", 501).filter(Boolean).length;
  const ofOthers = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => arrive(`10.0.0.${n}`, 500)).filter(Boolean).length;

  expect([ofOne, ofOthers]).toEqual([500, 3_500]);
});

test("the gate counts the admitted connections of the last 10 s, even if they have closed", () => {
  const { gate, clock } = setUp({ maxNewPerAddress: 2 });

  const seen = [0, 9_000, 500, 499, 1, 8_999, 1].map((afterMs) => {
    clock.now += afterMs;
    const socket = socketFrom("10.0.0.1");
    const admitted = gate.admit(socket);
    socket.emit("close");
    return admitted;
  });

  expect(seen).toEqual([true, true, false, false, true, false, true]);
});

test("the gate does not admit a connection that has already broken, and does not log it", () => {
  const { gate, logger } = setUp();

  const admitted = gate.admit(socketFrom());

  expect([admitted, gate.refused]).toEqual([false, 0]);
  expect(logger.lines).toEqual([]);
});

test("the gate warns at once, and then at most every 10 s, with what it has refused from up to 1,000 addresses", () => {
  const { gate, clock, logger, arrive } = setUp({ maxOpen: 0 });

  arrive("10.0.0.1", 7);
  clock.now += 9_999;
  arrive("10.0.0.2", 7);
  for (let n = 0; n < 1_500; n++) {
    arrive(`10.1.${n >> 8}.${n & 255}`);
  }
  clock.now += 1;
  arrive("10.0.0.3");

  expect(gate.refused).toBe(1_515);
  expect(logger.lines).toMatchObject([
    { level: "warn", fields: { address: "10.0.0.1", count: 1, refusedInAll: 1 } },
    { level: "warn", fields: { address: "10.0.0.2", count: 7, addresses: 1_000, refusedInAll: 1_515 } },
  ]);
});
