import { readFile } from "node:fs/promises";

import type { Addresses } from "../support/clients.ts";
import { callHeaders, data, FrameReader, grpcMessage, headers, isReset, OPENING } from "../support/http2-frames.ts";
import { bodyOf, headersOf } from "./plain-calls.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { EXPORT } from "./requests.ts";

/** How the cache can be exported. */
type ExportWay = "gRPC" | "gRPC-Web" | "Connect" | "GET";

const WAYS: readonly ExportWay[] = ["gRPC", "gRPC-Web", "Connect", "GET"];
const ANSWER_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** What a Parquet file begins with. */
const MAGIC = "PAR1";
const NOTHING = Buffer.alloc(0);

/** What became of exports that nobody read. */
export interface UnreadExports {
  /** How many were refused, of those that were too many for their client or for the process. */
  readonly refused: number;
  readonly tooMany: number;
  /** When the others were ended, in ms from their first bytes, by how they were asked for. */
  readonly ended: ReadonlyMap<ExportWay, number>;
}

/**
 * Asks for 20 exports, four of which may run, and reads none of them.
 *
 * @param limitMs how long to wait for each to be ended
 */
export async function askAndNeverRead(
  addresses: Addresses,
  limitMs: number,
  whileOpen: () => Promise<void> = async () => {},
): Promise<UnreadExports> {
  using stack = new DisposableStack();
  const open = async (way: ExportWay, from: string): Promise<UnreadExport> =>
    stack.use(await UnreadExport.open(way, addresses, from));
  const running = new Map<ExportWay, UnreadExport>();
  const others: UnreadExport[] = [];
  for (const [index, way] of WAYS.entries()) {
    const client = index < 2 ? "127.0.0.2" : "127.0.0.3";
    running.set(way, await open(way, client));
    if (index === 1) {
      // Two is what a client may have, though two more could run.
      others.push(...(await Promise.all(WAYS.map((another) => open(another, client)))));
    }
  }
  const strangers = ["127.0.0.4", "127.0.0.5", "127.0.0.6"];
  others.push(...(await Promise.all(strangers.flatMap((from) => WAYS.map((way) => open(way, from))))));
  await whileOpen();
  const ends = await Promise.all(
    Array.from(running, async ([way, unread]) => [way, await unread.ended(limitMs)] as const),
  );
  return {
    refused: others.filter(({ isRefused }) => isRefused).length,
    tooMany: others.length,
    ended: new Map(ends),
  };
}

/** An export of whose file no more than the beginning is ever read. */
class UnreadExport implements Disposable {
  readonly #connection: RawConnection;
  readonly #reset: Promise<void> | undefined;
  readonly #serverPort: string;
  /** When its first bytes came, on the monotonic clock. */
  readonly #begunAt = performance.now();
  /** Whether it was refused with RESOURCE_EXHAUSTED. */
  readonly isRefused: boolean;

  private constructor(
    connection: RawConnection,
    address: string,
    isRefused: boolean,
    reset: Promise<void> | undefined,
  ) {
    this.#connection = connection;
    this.#serverPort = address.split(":")[1] ?? "";
    this.#reset = reset;
    this.isRefused = isRefused;
  }

  /**
   * Begins an export, and waits until it has begun or was refused.
   *
   * @param from the address of loopback that it comes from
   */
  static async open(way: ExportWay, addresses: Addresses, from: string): Promise<UnreadExport> {
    const address = way === "gRPC" ? addresses.grpcAddress : addresses.httpAddress;
    const connection = await RawConnection.open(address, from);
    const reset = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<boolean>();
    const frames = new FrameReader((type, isEnd, stream) => {
      if (stream === 1 && isReset(type)) {
        reset.resolve();
      } else if (stream === 1 && isEnd) {
        answer.resolve(true);
      }
    });
    connection.read((bytes) => {
      if (way === "gRPC") {
        frames.push(bytes);
      }
      const text = connection.received.toString("latin1");
      if (text.includes(MAGIC)) {
        answer.resolve(false);
      } else if (/^HTTP\/1\.1 429 |grpc-status: 8\b|resource_exhausted/m.test(text)) {
        answer.resolve(true);
      }
    });
    await connection.send(requestOf(way));
    const closed = connection.closed(ANSWER_LIMIT_MS).then(() => {
      throw new Error(`the export was not answered: ${connection.received.toString("latin1", 0, 200)}`);
    });
    const isRefused = await Promise.race([answer.promise, closed]);
    closed.catch(() => {});
    if (way !== "gRPC") {
      // Over HTTP/2, the window of 64 KiB that is never opened again does the same.
      connection.socket.pause();
    }
    return new UnreadExport(connection, address, isRefused, way === "gRPC" ? reset.promise : undefined);
  }

  /** Waits until the service has ended it; gives the ms since its beginning, infinity when it goes on. */
  async ended(limitMs: number): Promise<number> {
    const end = performance.now() + limitMs;
    let isOver = false;
    void this.#reset?.then(() => (isOver = true));
    while (!isOver && performance.now() < end) {
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_EVERY_MS);
      });
      isOver ||= this.#reset === undefined && !(await this.#isEstablished());
    }
    return isOver ? performance.now() - this.#begunAt : Number.POSITIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** As the service's side sees it: ours, which does not read, would not notice. */
  async #isEstablished(): Promise<boolean> {
    const [server, client] = [this.#serverPort, this.#connection.socket.localPort].map((port) =>
      Number(port).toString(16).toUpperCase().padStart(4, "0"),
    );
    const table = await readFile("/proc/net/tcp", "latin1");
    return new RegExp(` [0-9A-F]{8}:${server} [0-9A-F]{8}:${client} 01 `).test(table);
  }
}

function requestOf(way: ExportWay): Buffer {
  if (way === "gRPC") {
    const call = callHeaders(EXPORT, "localhost", "120S");
    return Buffer.concat([OPENING, headers(1, call), data(1, grpcMessage(NOTHING), true)]);
  }
  if (way === "GET") {
    return Buffer.from("GET /export.parquet HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  const body = bodyOf(way, EXPORT, NOTHING);
  const type = headersOf({ protocol: way, path: EXPORT, body })["content-type"];
  const head = `POST ${EXPORT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
