import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import packageJson from "../package.json" with { type: "json" };

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

/** The names in the first column of the rows below a heading. */
function firstColumnOf(heading: string): string[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const cells = [...section.matchAll(/^\| (`[^|]*`) \|/gm)].map(([, cell = ""]) => cell);
  return cells.flatMap((cell) => cell.split(", ").map((name) => name.replaceAll("`", "")));
}

test("the README's table has every variable with its default, in the order of the configuration", () => {
  const variables: string[][] = [];
  readConfig((name, defaultText, parse) => {
    variables.push([name, defaultText]);
    return parse(defaultText);
  });

  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\|/gm)].map(([, name, text = ""]) => [
    name,
    text,
  ]);

  expect(rows).toEqual(variables);
});

test("the README gives a reason for every dependency, and for nothing else", () => {
  const packages = Object.keys({ ...packageJson.dependencies, ...packageJson.optionalDependencies });

  expect(firstColumnOf("Dependencies").toSorted()).toEqual(packages.toSorted());
});
