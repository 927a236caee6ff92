import { existsSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { readDocument, readDocuments, ROOT } from "./documents.ts";

const documents = await readDocuments();
const README_LINES = 200;

/** The anchors of the headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test(`the README has at most ${README_LINES} lines`, async () => {
  const { text } = await readDocument("README.md");

  expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES);
});

test("the README links to every page of docs/", async () => {
  const { text } = await readDocument("README.md");
  const pages = documents.map(({ path }) => path).filter((path) => path.startsWith("docs/"));

  const links = [...text.matchAll(/^- \[\w+\]\((docs\/[^)]*)\)/gm)].map(([, path = ""]) => path);
  expect(links.toSorted()).toEqual(pages);
});

describe.each(documents)("$path", ({ path, prose }) => {
  const links = [...prose.matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)].map(([, file = "", anchor = ""]) => ({
    file: file === "" ? path : posix.join(posix.dirname(path), file),
    anchor,
  }));

  test("links to files that exist", () => {
    expect(links.filter(({ file }) => !existsSync(ROOT + file))).toEqual([]);
  });

  test("links to headings that exist", async () => {
    const anchored = links.filter(({ anchor }) => anchor !== "");
    const targets = await Promise.all(anchored.map(({ file }) => readDocument(file)));

    const wrong = anchored.filter(({ anchor }, index) => !anchorsOf(targets[index]?.text ?? "").includes(anchor));

    expect(wrong).toEqual([]);
  });
});
