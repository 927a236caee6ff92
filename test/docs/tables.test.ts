import { expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { COMMANDS } from "../../src/cli/command-line.ts";
import { exportCommand } from "../../src/cli/export.ts";
import { chooseColumns } from "../../src/table/vehicle-columns.ts";
import { SCHEMA } from "../../src/export/vehicle-columns.ts";
import packageJson from "../../package.json" with { type: "json" };
import { readDocument } from "./documents.ts";

/** Every variable with its default, in the order of the configuration. */
const VARIABLES: string[][] = [];
readConfig((name, defaultText, parse) => {
  VARIABLES.push([name, defaultText]);
  return parse(defaultText);
});

/** The variables in a document's table, with their defaults. */
async function variablesOf(path: string): Promise<string[][]> {
  const { text } = await readDocument(path);
  return [...text.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\|/gm)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]);
}

test("the configuration's table has every variable with its default, in the order of the code", async () => {
  expect(await variablesOf("docs/configuration.md")).toEqual(VARIABLES);
});

test("the README's settings are ten of these, with the same defaults", async () => {
  const settings = await variablesOf("README.md");

  expect(settings).toHaveLength(10);
  expect(VARIABLES).toEqual(expect.arrayContaining(settings));
});

test("every dependency has its reason, and nothing else has one", async () => {
  const packages = Object.keys({ ...packageJson.dependencies, ...packageJson.optionalDependencies });
  const { text } = await readDocument("docs/development.md");
  const [, section = ""] = text.split("## Dependencies\n");

  const names = [...section.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = ""]) =>
    cell.split(", ").map((name) => name.replaceAll("`", "")),
  );

  expect(names.toSorted()).toEqual(packages.toSorted());
});

test("the columns of the export are in its table, in their order", async () => {
  const { text } = await readDocument("docs/export.md");
  const [, section = ""] = text.split("## Columns\n");

  const columns = [...section.matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|/gm)].flatMap(([, cell = ""]) =>
    cell.replaceAll("`", "").split(", "),
  );

  expect(columns).toEqual(SCHEMA.map(({ name }) => name));
});

test("the command line's page has every command, and the columns that decode usually adds", async () => {
  const { text } = await readDocument("docs/command-line.md");
  const commands = [...text.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name);
  const [, list = ""] = /^Usual columns: ([^.]*)\./m.exec(text) ?? [];

  const { names } = chooseColumns({ full: false, names: undefined }, []);
  expect(commands).toEqual(Object.keys(COMMANDS));
  expect([...list.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(names.filter((name) => name !== "error"));
});

test("every option of the export command is in its table", async () => {
  const { text } = await readDocument("docs/export.md");

  const described = [...text.matchAll(/^\| (`--[^|]*) \|/gm)].flatMap(([, cell = ""]) =>
    cell.replaceAll("`", "").split(", "),
  );

  const options = Object.keys(exportCommand.options).map((name) => `--${name}`);
  expect(described.toSorted()).toEqual(options.toSorted());
});
