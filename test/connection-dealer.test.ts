import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConnectionTarget } from "../src/connection-dealer.ts";
import { ConnectionDealer } from "../src/connection-dealer.ts";
import { eventually } from "./support/eventually.ts";

/** A worker that answers each connection with its name. */
class FakeWorker implements ConnectionTarget {
  readonly received: Socket[] = [];
  /** Whether its channel is full: connections are then not sent. */
  isFull = false;
  error: Error | null = null;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  send(socket: Socket, onSent: (error: Error | null) => void): void {
    this.received.push(socket);
    if (this.isFull) {
      return;
    }
    if (this.error !== null) {
      onSent(this.error);
      return;
    }
    socket.end(this.#name, () => onSent(null));
  }
}

let dealer: ConnectionDealer;
let port: number;
let clients: Socket[];

beforeEach(async () => {
  clients = [];
  dealer = new ConnectionDealer();
  const address = await dealer.listen("HTTP_PORT", "127.0.0.1", 0);
  port = Number(address.split(":")[1]);
});

afterEach(() => {
  dealer.close();
  for (const client of clients) {
    client.destroy();
  }
});

/** Everything that a new connection receives until it is closed. */
async function greeting(): Promise<string> {
  const client = connect(port, "127.0.0.1");
  clients.push(client);
  const chunks: Buffer[] = [];
  client.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(client, "close");
  return Buffer.concat(chunks).toString();
}

test("gives each connection to the next worker", async () => {
  dealer.add(new FakeWorker("first"));
  dealer.add(new FakeWorker("second"));

  const greetings = [await greeting(), await greeting(), await greeting(), await greeting()];

  expect(greetings).toEqual(["first", "second", "first", "second"]);
});

test("keeps connections until there is a worker", async () => {
  const early = greeting();
  // The second connection is accepted after the first one.
  const next = greeting();

  dealer.add(new FakeWorker("first"));

  expect(await Promise.all([early, next])).toEqual(["first", "first"]);
});

test("gives the unsent connections of a worker that stops to another worker", async () => {
  const full = new FakeWorker("full");
  full.isFull = true;
  dealer.add(full);
  const greetings = [greeting(), greeting()];
  await eventually(() => expect(full.received).toHaveLength(2));

  dealer.remove(full);
  dealer.add(new FakeWorker("other"));

  expect(await Promise.all(greetings)).toEqual(["other", "other"]);
});

test("gives a connection that cannot be sent to another worker", async () => {
  const broken = new FakeWorker("broken");
  broken.error = new Error("the channel is closed");
  dealer.add(broken);
  dealer.add(new FakeWorker("other"));

  expect(await greeting()).toBe("other");
});

test("closes its own handle of a connection that was sent", async () => {
  const worker = new FakeWorker("worker");
  dealer.add(worker);

  await greeting();

  expect(worker.received.map(({ destroyed }) => destroyed)).toEqual([true]);
});

test("does not listen when it is closed while it starts to", async () => {
  const starting = dealer.listen("GRPC_PORT", "127.0.0.1", 0);
  dealer.close();
  const address = await starting;

  const late = connect(Number(address.split(":")[1]), "127.0.0.1");
  await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
});

test("accepts no connections after it is closed, and closes those that wait", async () => {
  const full = new FakeWorker("full");
  full.isFull = true;
  dealer.add(full);
  const waiting = greeting();
  await eventually(() => expect(full.received).toHaveLength(1));
  dealer.remove(full);

  dealer.close();

  expect(await waiting).toBe("");
  const late = connect(port, "127.0.0.1");
  await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
});
