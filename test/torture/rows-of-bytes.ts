import type { Row } from "./finding.ts";
import { sendEach } from "./hostile-connections.ts";
import { OPENING } from "./http2-frames.ts";
import { grpcLookup, httpLookup } from "./requests.ts";
import { mutate, seeded } from "./seeded.ts";
import { Target } from "./target.ts";

/** None of them can be part of a URL. */
const AUTHORITIES = ["[", "]", "[::1", "a b", "a:b:c", "host:99999", "%", "\u0001\u007f\u00ff", "//?#@\\"];

/** Rows 1 and 2: bytes that nobody should send. */
export const rowsOfBytes: readonly Row[] = [
  {
    number: 1,
    title: "authorities and hosts that cannot be parsed",
    async run(scale) {
      const count = AUTHORITIES.length + (scale === "full" ? 10_000 : 250);
      await using target = await Target.start();
      const random = seeded(1);
      const authorityOf = (index: number): Uint8Array =>
        index < AUTHORITIES.length ? Buffer.from(AUTHORITIES[index] ?? "", "latin1") : generate(random);
      return [
        {
          listener: "gRPC",
          what: `${count} authorities`,
          figures: await target.endure(async () => {
            await sendEach(target.grpcAddress, count, (index) => grpcLookup(authorityOf(index)));
          }),
        },
        {
          listener: "HTTP",
          what: `${count} hosts`,
          figures: await target.endure(async () => {
            await sendEach(target.httpAddress, count, (index) => httpLookup(authorityOf(index)));
          }),
        },
      ];
    },
  },
  {
    number: 2,
    title: "valid requests with mutated bytes",
    async run(scale) {
      const count = scale === "full" ? 50_000 : 500;
      await using target = await Target.start();
      const random = seeded(2);
      const [grpc, http] = [grpcLookup(), httpLookup()];
      const harm = { memoryMib: 50 };
      return [
        {
          listener: "gRPC",
          what: `${count} connections`,
          figures: await target.endure(async () => {
            await sendEach(target.grpcAddress, count, (index) =>
              // A broken preface says little: most break later.
              mutate(grpc, random, index % 10 === 0 ? 0 : OPENING.byteLength),
            );
          }, harm),
        },
        {
          listener: "HTTP",
          what: `${count} connections`,
          figures: await target.endure(async () => {
            await sendEach(target.httpAddress, count, () => mutate(http, random));
          }, harm),
        },
      ];
    },
  },
];

/** Up to 40 bytes, any but those that end a line. */
function generate(random: () => number): Uint8Array {
  const bytes = Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256));
  return Uint8Array.from(bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
}
