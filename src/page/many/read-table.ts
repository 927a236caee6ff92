/** One record of a text, with the line on which it begins, from 1. */
export interface TextRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

/** What separates the cells of a record; undefined when each line is one cell. */
export type Separator = "," | "\t" | ";" | "|" | undefined;

/** Splits a text into records as CSV is written (RFC 4180): quotes may hold separators, line breaks and double quotes. */
export function readTable(text: string, separator: Separator): TextRecord[] {
  return readQuoted(text, separator) ?? readPlain(text, separator);
}

/** @returns undefined when a quote is never closed: it is no quote then. */
function readQuoted(text: string, separator: Separator): TextRecord[] | undefined {
  const records: TextRecord[] = [];
  let cells: string[] = [];
  let start = 1;
  let line = 1;
  let at = 0;
  while (at <= text.length) {
    let cell: string;
    if (text[at] === '"') {
      const end = endOfQuoted(text, at + 1);
      if (end === undefined) {
        return undefined;
      }
      cell = text.slice(at + 1, end).replaceAll('""', '"');
      line += countBreaks(cell);
      at = end + 1;
      const rest = endOfPlain(text, at, separator);
      cell += text.slice(at, rest);
      at = rest;
    } else {
      const end = endOfPlain(text, at, separator);
      cell = text.slice(at, end);
      at = end;
    }
    cells.push(cell);
    if (at < text.length && text[at] === separator) {
      at++;
      continue;
    }
    records.push({ line: start, cells });
    cells = [];
    at += text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1;
    line++;
    start = line;
  }
  return records;
}

function endOfQuoted(text: string, from: number): number | undefined {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') {
      return at;
    }
  }
  return undefined;
}

function endOfPlain(text: string, from: number, separator: Separator): number {
  let at = from;
  while (at < text.length && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") {
    at++;
  }
  return at;
}

function countBreaks(text: string): number {
  return text.match(/\r\n|\r|\n/g)?.length ?? 0;
}

function readPlain(text: string, separator: Separator): TextRecord[] {
  return text.split(/\r\n|\r|\n/).map((line, index) => ({
    line: index + 1,
    cells: separator === undefined ? [line] : line.split(separator),
  }));
}
