import { readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { FilledCache } from "./filled-cache.ts";
import type { Finding } from "./finding.ts";
import { counted, exactly, measured } from "./finding.ts";
import type { Row } from "./row.ts";
import type { Limit, Silence } from "./silences.ts";
import { DEADLINE_SILENCE, keepSilent, SECURED_SILENCES, SILENCES } from "./silences.ts";
import { Target } from "./target.ts";
import type { UnreadExports } from "./unread-export.ts";
import { askAndNeverRead } from "./unread-export.ts";

/** The usual limits, in ms. Whoever sends settings is asked after a minute whether it is there, and has 20 s. */
const LIMITS: Readonly<Record<Limit, number>> = {
  "first bytes": 5_000,
  preface: 5_000,
  head: 5_000,
  handshake: 10_000,
  deadline: 10_000,
  request: 15_000,
  ping: 80_000,
};
const DRIP_MS = 1_000;
const ROWS = 60_000;
const STALL_MS = 30_000;
const LOOK_EVERY_MS = 20;
const MIB = 1_024 * 1_024;

/** Clients that keep the service waiting, with the usual limits; silences.test.ts has them with shortened ones. */
export const rowsOfSilence: readonly Row[] = [
  {
    number: "5",
    title: "silent, half and slow connections, and readers that take nothing",
    test: "never",
    async run(arena) {
      const [plain, secured] = [await arena.target(false), await arena.target(true)];
      const findings: Finding[] = [];
      const keep = async (target: Target, silence: Silence): Promise<void> => {
        const limitMs = LIMITS[silence.limit];
        const end = await keepSilent(silence, {
          address: target.addressOf("http"),
          ca: target.ca,
          dripMs: DRIP_MS,
          patienceMs: 2 * limitMs,
        });
        findings.push({
          what: `${silence.what}, ${silence.protocol}${silence.tls === undefined ? "" : ", TLS"}: ${end.how}`,
          figures: [
            exactly("neither closed nor answered", end.how === "neither" ? 1 : 0, 0),
            measured("ended ms", end.ms, { atLeast: 0.8 * limitMs, atMost: 1.2 * limitMs }),
          ],
        });
      };
      const figures = await plain.endure(async () => {
        await Promise.all([
          ...[...SILENCES, DEADLINE_SILENCE].map((silence) => keep(plain, silence)),
          ...SECURED_SILENCES.map((silence) => keep(secured, silence)),
        ]);
      });
      return [...findings, { what: "meanwhile", figures }, await leaveExportsUnread()];
    },
  },
];

/** Exports read one state of the cache: what is written meanwhile must not pile up behind them. */
async function leaveExportsUnread(): Promise<Finding> {
  await using target = await Target.start();
  const path = join(target.dataDir, "vehicles.db");
  using cache = new FilledCache(path, ROWS);
  let walBytes = 0;
  let filesWhileOpen = 0;
  let unread: UnreadExports | undefined;
  const writing = setInterval(() => {
    cache.rewrite(20);
    void stat(`${path}-wal`).then(({ size }) => (walBytes = Math.max(walBytes, size)));
  }, LOOK_EVERY_MS);
  const harm = await target.endure(async () => {
    unread = await askAndNeverRead(target.service, 2 * STALL_MS, async () => {
      filesWhileOpen = await countExportFiles(target);
    });
  });
  clearInterval(writing);
  const ended = Array.from(unread?.ended ?? [], ([way, ms]) => {
    return measured(`${way} ended ms`, ms, { atLeast: STALL_MS - 3_000, atMost: STALL_MS + 3_000 });
  });
  return {
    what: `20 exports of ${ROWS} rows that nobody reads`,
    figures: [
      exactly("refused", unread?.refused ?? 0, unread?.tooMany ?? 16),
      ...ended,
      exactly("files while open", filesWhileOpen, 4),
      exactly("files afterwards", await countExportFiles(target), 0),
      counted("WAL MiB", walBytes / MIB, { atLeast: 0.1, atMost: 64 }),
      ...harm,
    ],
  };
}

/** Files in the directory of exports, those without a name too. */
async function countExportFiles({ dataDir, service }: Target): Promise<number> {
  const directory = join(dataDir, "exports");
  const descriptors = `/proc/${service.pid}/fd`;
  const targets = await Promise.all(
    (await readdir(descriptors)).map((name) => readlink(join(descriptors, name)).catch(() => "")),
  );
  return targets.filter((name) => name.startsWith(directory)).length + (await readdir(directory)).length;
}
