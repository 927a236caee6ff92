import { toFields, type Query } from "./query.ts";

/** What the commands ask, and of whom. */
export interface CommandQuery extends Query {
  /** The page's own origin, such as `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** Whether the service wants a token. The commands then read it from the variable TOKEN. */
  readonly needsToken: boolean;
}

const METHOD = "vehicle.v1.VehicleService/Lookup";
const BEARER = `-H "authorization: Bearer $TOKEN"`;

/** Commands for a shell that look the same vehicle up. Both ports speak every protocol, so the page's own port serves. */
export function commandsFor({ origin, needsToken, ...query }: CommandQuery): {
  readonly curl: string;
  readonly grpcurl: string;
  readonly bufCurl: string;
} {
  const request = JSON.stringify({ ...toFields(query), view: "VIEW_FULL" });
  const data = `-d ${quote(request)}`;
  const isTls = origin.startsWith("https:");
  const { host, port, hostname } = new URL(origin);
  const authority = port === "" ? `${hostname}:${isTls ? 443 : 80}` : host;
  const join = (...words: readonly string[]): string => words.filter((word) => word !== "").join(" ");
  return {
    curl: join("curl -H 'content-type: application/json'", needsToken ? BEARER : "", data, `${origin}/${METHOD}`),
    grpcurl: join("grpcurl", isTls ? "" : "-plaintext", needsToken ? BEARER : "", data, authority, METHOD),
    bufCurl: join(
      "buf curl --protocol grpc",
      isTls ? "" : "--http2-prior-knowledge",
      needsToken ? `${BEARER} --reflect-header '*'` : "",
      data,
      `${origin}/${METHOD}`,
    ),
  };
}

/** Single quotes keep a shell from reading anything in a text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
