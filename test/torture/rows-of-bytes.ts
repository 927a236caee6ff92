import type { Finding, Listener, Row } from "./finding.ts";
import { sendEach } from "./hostile-connections.ts";
import { OPENING } from "./http2-frames.ts";
import { grpcLookup, grpcWebLookup, httpLookup } from "./requests.ts";
import { mutate, seeded } from "./seeded.ts";
import type { Harm } from "./target.ts";
import { Target } from "./target.ts";

/** None of them can be part of a URL. */
const AUTHORITIES = ["[", "]", "[::1", "a b", "a:b:c", "host:99999", "%", "\u0001\u007f\u00ff", "//?#@\\"];

/** Shaking hands over TLS takes ten times as long as all the rest. */
const SECURED_PART = 0.1;

/** Rows 1 and 2: bytes that nobody should send. */
export const rowsOfBytes: readonly Row[] = [
  {
    number: 1,
    title: "authorities and hosts that cannot be parsed",
    async run(scale) {
      const random = seeded(1);
      const authorityOf = (index: number): Uint8Array =>
        index < AUTHORITIES.length ? Buffer.from(AUTHORITIES[index] ?? "", "latin1") : generate(random);
      const generated = scale === "full" ? 10_000 : 250;
      return await attackEach({
        what: "authorities or hosts",
        countOf: (part) => AUTHORITIES.length + part * generated,
        harm: {},
        bytesOf: {
          gRPC: (index) => grpcLookup(authorityOf(index)),
          HTTP: (index) => httpLookup(authorityOf(index)),
          "HTTP/2": (index) => grpcWebLookup(authorityOf(index)),
        },
      });
    },
  },
  {
    number: 2,
    title: "valid requests with mutated bytes",
    async run(scale) {
      const random = seeded(2);
      const [grpc, http, web] = [grpcLookup(), httpLookup(), grpcWebLookup()];
      // A broken preface says little: most break later.
      const fromOf = (index: number): number => (index % 10 === 0 ? 0 : OPENING.byteLength);
      const all = scale === "full" ? 50_000 : 500;
      return await attackEach({
        what: "connections",
        countOf: (part) => part * all,
        harm: { memoryMib: 50 },
        bytesOf: {
          gRPC: (index) => mutate(grpc, random, fromOf(index)),
          HTTP: () => mutate(http, random),
          "HTTP/2": (index) => mutate(web, random, fromOf(index)),
        },
      });
    },
  },
];

interface Attack {
  /** What is counted. */
  readonly what: string;
  /** How many, for this part of them all. */
  readonly countOf: (part: number) => number;
  readonly harm: Harm;
  /** What each connection sends. */
  readonly bytesOf: Readonly<Record<Listener, (index: number) => Buffer>>;
}

async function attackEach({ what, countOf, harm, bytesOf }: Attack): Promise<Finding[]> {
  await using target = await Target.start();
  await using secured = await Target.startSecured();
  const findings: Finding[] = [];
  for (const listener of ["gRPC", "HTTP", "HTTP/2"] as const) {
    const isSecured = listener === "HTTP/2";
    const attacked = isSecured ? secured : target;
    const count = countOf(isSecured ? SECURED_PART : 1);
    const figures = await attacked.endure(async () => {
      await sendEach(attacked, listener, count, bytesOf[listener]);
    }, harm);
    findings.push({ listener, what: `${count} ${what}`, figures });
  }
  return findings;
}

/** Up to 40 bytes, any but those that end a line. */
function generate(random: () => number): Uint8Array {
  const bytes = Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256));
  return Uint8Array.from(bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
}
