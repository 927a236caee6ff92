import type { IncomingMessage } from "node:http";

import type { ByteRange } from "./byte-range.ts";
import { parseRange } from "./byte-range.ts";

/** What an answer needs to know of a file. */
interface ServedFile {
  readonly id: string;
  readonly fileName: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly snapshotTime: number;
}

/** What an HTTP answer says and which bytes of the file it carries, if any. */
export interface ExportAnswer {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: ByteRange | undefined;
}

/** Whether a request asks for the file, not only once for all of it: such a reader must see one file each time. */
export function wantsKeptFile({ method, headers }: IncomingMessage): boolean {
  const isConditional = headers["if-range"] !== undefined || headers["if-none-match"] !== undefined;
  return method === "HEAD" || headers.range !== undefined || isConditional;
}

/** Answers a GET or HEAD of a file: conditions and single ranges of RFC 9110. */
export function answerRequest({ method, headers }: IncomingMessage, file: ServedFile): ExportAnswer {
  const etag = `"${file.id}"`;
  const common = {
    ETag: etag,
    "Last-Modified": new Date(file.snapshotTime).toUTCString(),
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
  };
  if (isNamed(headers["if-none-match"], etag)) {
    return { status: 304, headers: common, body: undefined };
  }
  const whole = { start: 0, end: file.sizeBytes };
  const isRangeOfThis = headers["if-range"] === undefined || headers["if-range"] === etag;
  const range =
    method === "GET" && headers.range !== undefined && isRangeOfThis
      ? parseRange(headers.range, file.sizeBytes)
      : "whole";
  if (range === "unsatisfiable") {
    const unsatisfiable = { "Content-Range": `bytes */${file.sizeBytes}`, "Content-Length": 0 };
    return { status: 416, headers: { ...common, ...unsatisfiable }, body: undefined };
  }
  const { start, end } = range === "whole" ? whole : range;
  const content = {
    ...common,
    "Content-Type": file.mediaType,
    "Content-Disposition": `attachment; filename="${file.fileName}"`,
    "Content-Length": end - start,
    "X-Content-Type-Options": "nosniff",
  };
  const body = method === "HEAD" ? undefined : { start, end };
  return range === "whole"
    ? { status: 200, headers: content, body }
    : { status: 206, headers: { ...content, "Content-Range": `bytes ${start}-${end - 1}/${file.sizeBytes}` }, body };
}

function isNamed(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
}
