import type { Finding } from "./finding.ts";
import { exactly, measured } from "./finding.ts";
import type { Row } from "./row.ts";
import type { Limit, Silence } from "./silences.ts";
import { DEADLINE_SILENCE, keepSilent, SECURED_SILENCES, SILENCES } from "./silences.ts";
import type { Target } from "./target.ts";

/** The default limits, in ms. A client that has sent its settings gets a PING after a minute, and has 20 s to answer it. */
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

/**
 * Clients that keep the service waiting, with the usual limits. silences.test.ts has them with shortened limits. The
 * tests of the server and of exports have clients that do not read.
 */
export const rowsOfSilence: readonly Row[] = [
  {
    number: "5",
    title: "silent, half and slow connections",
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
      return [...findings, { what: "meanwhile", figures }];
    },
  },
];
