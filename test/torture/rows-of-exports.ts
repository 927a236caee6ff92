import { readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Addresses } from "../support/clients.ts";
import { FilledCache } from "./filled-cache.ts";
import type { Figure, Row } from "./finding.ts";
import { Target } from "./target.ts";
import type { ExportWay } from "./unread-export.ts";
import { UnreadExport } from "./unread-export.ts";

const ROWS = 60_000;
const STALL_MS = 30_000;
const LOOK_EVERY_MS = 20;
const MIB = 1024 * 1024;
const WAYS: readonly ExportWay[] = ["gRPC", "gRPC-Web", "Connect", "GET"];

/** What became of exports that nobody read. */
export interface UnreadExports {
  /** How many were refused, of those that were too many for their client or for the process. */
  readonly refused: number;
  readonly tooMany: number;
  /** When the others were ended, in ms from their first bytes, by how they were asked for. */
  readonly ended: ReadonlyMap<ExportWay, number>;
}

/** Asks for 20 exports, four of which may run, and reads none of them. */
export async function askAndNeverRead(
  addresses: Addresses,
  stallMs: number,
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
    Array.from(running, async ([way, unread]) => [way, await unread.ended(2 * stallMs)] as const),
  );
  return {
    refused: others.filter(({ isRefused }) => isRefused).length,
    tooMany: others.length,
    ended: new Map(ends),
  };
}

/** Row 8: exports whose files nobody reads. */
export const rowsOfExports: readonly Row[] = [
  {
    number: 8,
    title: "20 exports that are never read",
    // They take half a minute as they are: exports.test.ts has them with a shorter limit.
    hasShortForm: false,
    async run() {
      await using target = await Target.start();
      const path = join(target.dataDir, "vehicles.db");
      using cache = new FilledCache(path, ROWS);
      let walBytes = 0;
      let filesWhileOpen = 0;
      let unread: UnreadExports | undefined;
      // Exports read one state of the cache: what is written meanwhile must not pile up behind them.
      const writing = setInterval(() => {
        cache.rewrite(20);
        void stat(`${path}-wal`).then(({ size }) => (walBytes = Math.max(walBytes, size)));
      }, LOOK_EVERY_MS);
      const harm = await target.endure(async () => {
        unread = await askAndNeverRead(target, STALL_MS, async () => {
          filesWhileOpen = await countExportFiles(target);
        });
      });
      clearInterval(writing);
      const ended = Array.from(unread?.ended ?? [], ([way, value]): Figure => {
        return { name: `${way} ended ms`, value, atLeast: STALL_MS - 3000, atMost: STALL_MS + 3000 };
      });
      const after = await fetch(`http://${target.httpAddress}/export.parquet`);
      const length = (await after.bytes()).byteLength;
      const figures: Figure[] = [
        { name: "refused", value: unread?.refused ?? 0, atLeast: unread?.tooMany ?? 16 },
        ...ended,
        { name: "files while open", value: filesWhileOpen, atLeast: 4, atMost: 4 },
        { name: "files afterwards", value: await countExportFiles(target), atMost: 0 },
        { name: "WAL MiB", value: walBytes / MIB, atLeast: 0.1, atMost: 64 },
        { name: "an export afterwards, MiB", value: length / MIB, atLeast: 10 },
        ...harm,
      ];
      return [{ listener: "both", what: `of ${ROWS} rows`, figures }];
    },
  },
];

/** Files in the directory of exports, those without a name too. */
async function countExportFiles({ dataDir, service }: Target): Promise<number> {
  const directory = join(dataDir, "exports");
  const descriptors = `/proc/${service.pid}/fd`;
  const targets = await Promise.all(
    (await readdir(descriptors)).map((name) => readlink(join(descriptors, name)).catch(() => "")),
  );
  return targets.filter((name) => name.startsWith(directory)).length + (await readdir(directory)).length;
}
