// Makes calls as cheaply as Node can: requests are prepared bytes, and only the end of an answer is read. Receives one
// Order after the other as a message, and answers each with its Outcome.

import { setTimeout as pause } from "node:timers/promises";

import type { Connection, Ending } from "./connections.ts";
import { openConnection } from "./connections.ts";
import type { Latencies, Order, Outcome } from "./load.ts";
import { lookupBytes, malformedBatchBytes, newLookups, randomLookups } from "./requests.ts";

const TICK_MS = 1;
/** How long to wait for the last answers. */
const LAST_ANSWERS_MS = 30_000;

process.on("message", (order: Order) => {
  void obey(order).then((outcome) => process.send?.(outcome));
});
process.on("disconnect", () => process.exit());

/** Counts the calls of one order. */
class Book {
  readonly goodMs: number[] = [];
  refused = 0;
  lost = 0;
  unsent = 0;
  /** Good answers until then. */
  goodInTime = 0;
  isOver = false;
  /** Called after each call has ended. */
  onEnded: (connection: Connection) => void = () => {};

  note(ending: Ending, ms: number): void {
    if (ending !== "good") {
      this[ending]++;
      return;
    }
    this.goodMs.push(ms);
    this.goodInTime += this.isOver ? 0 : 1;
  }
}

async function obey(order: Order): Promise<Outcome> {
  const { pace } = order;
  const book = new Book();
  const connections = await openAll(order, book);
  const startedAt = performance.now();
  switch (pace.kind) {
    case "closed":
      await callAgain(order, connections, book, pace.seconds);
      break;
    case "open":
      await callOnTime(order, connections, book, pace);
      break;
    case "burst":
      callAtOnce(order, connections);
      await allAnswered(connections);
      break;
  }
  book.isOver = true;
  const seconds = (performance.now() - startedAt) / 1_000;
  await allAnswered(connections);
  await closeAll(connections);
  return {
    goodPerSecond: book.goodInTime / seconds,
    good: latenciesOf(book.goodMs),
    refused: book.refused,
    lost: book.lost,
    unsent: book.unsent,
  };
}

async function openAll({ target, connections: count }: Order, book: Book): Promise<Connection[]> {
  const connections: Connection[] = [];
  while (connections.length < count) {
    const connection: Connection = await openConnection(target, (ending, ms) => {
      book.note(ending, ms);
      book.onEnded(connection);
    });
    connections.push(connection);
  }
  return connections;
}

/** Returns the bytes of one call after the other. */
function requestsOf({ request, target }: Order): () => Buffer {
  if (request === "new Lookup") {
    return newLookups(target);
  }
  if (typeof request !== "string") {
    return randomLookups(target, request.vehicles, request.spread);
  }
  const bytes = request === "cached Lookup" ? lookupBytes(target) : malformedBatchBytes(target);
  return () => Buffer.from(bytes);
}

/** Keeps as many calls on each connection as it may have. When one ends, the next begins. */
async function callAgain(order: Order, connections: readonly Connection[], book: Book, seconds: number): Promise<void> {
  const nextRequest = requestsOf(order);
  book.onEnded = (connection) => {
    if (connection.isOpen) {
      connection.call(nextRequest(), performance.now());
    }
  };
  callAtOnce(order, connections, nextRequest);
  await pause(1_000 * seconds);
  book.onEnded = () => {};
}

/** Makes calls at a constant rate, on the connections in turn. Calls that are due at once are sent in one write. */
async function callOnTime(
  order: Order,
  connections: readonly Connection[],
  book: Book,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<void> {
  const nextRequest = requestsOf(order);
  const msPerCall = 1_000 / perSecond;
  const total = Math.floor(perSecond * seconds);
  const startedAt = performance.now();
  const endsAt = startedAt + 1_000 * seconds;
  let sent = 0;
  let turn = 0;
  for (let isOver = false; !isOver; await pause(TICK_MS)) {
    const now = performance.now();
    isOver = now >= endsAt;
    const due = isOver ? total : (now - startedAt) / msPerCall;
    for (let tried = 0; sent < due && tried < connections.length; tried++) {
      fill(connections[turn++ % connections.length], due);
    }
  }
  book.unsent = total - sent;

  function fill(connection: Connection | undefined, due: number): void {
    connection?.together(() => {
      while (sent < due && connection.isOpen && connection.running < order.callsEach) {
        connection.call(nextRequest(), startedAt + sent * msPerCall);
        sent++;
      }
    });
  }
}

function callAtOnce(order: Order, connections: readonly Connection[], nextRequest = requestsOf(order)): void {
  for (const connection of connections) {
    connection.together(() => {
      for (let call = 0; call < order.callsEach; call++) {
        connection.call(nextRequest(), performance.now());
      }
    });
  }
}

/** Waits for a limited time until no call runs. */
async function allAnswered(connections: readonly Connection[]): Promise<void> {
  const endsAt = performance.now() + LAST_ANSWERS_MS;
  while (connections.some(({ running }) => running > 0) && performance.now() < endsAt) {
    await pause(TICK_MS);
  }
}

/** Closes the connections, and waits until their running calls are counted as lost. */
async function closeAll(connections: readonly Connection[]): Promise<void> {
  for (const connection of connections) {
    connection.close();
  }
  await allAnswered(connections);
}

function latenciesOf(ms: number[]): Latencies {
  const sorted = ms.toSorted((a, b) => a - b);
  const quantile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { count: sorted.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) };
}
