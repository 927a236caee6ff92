import { expect, test } from "vitest";

import { ProgressBar } from "../../src/cli/progress-bar.ts";

function record(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
}

test("a terminal shows the progress, and a clean line at the end", () => {
  const output = record(true);

  const bar = new ProgressBar(output);
  bar.update(0, 4_194_304);
  bar.update(1_048_576, 4_194_304);
  bar[Symbol.dispose]();

  expect(output.written).toEqual([
    `\r\u001B[K[${"-".repeat(30)}]   0% of 4.0 MiB`,
    `\r\u001B[K[${"#".repeat(7)}${"-".repeat(23)}]  25% of 4.0 MiB`,
    "\r\u001B[K",
  ]);
});

test("an unchanged bar is not drawn again", () => {
  const output = record(true);
  const bar = new ProgressBar(output);

  bar.update(1_000, 4_194_304);
  bar.update(1_001, 4_194_304);

  expect(output.written).toHaveLength(1);
});

test("a file or a pipe gets no bar", () => {
  const output = record(false);
  const bar = new ProgressBar(output);

  bar.update(1, 2);
  bar[Symbol.dispose]();

  expect(output.written).toEqual([]);
});
