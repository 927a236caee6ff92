import { readdirSync } from "node:fs";
import { fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import packageJson from "../../package.json" with { type: "json" };
import { loadConfig } from "../../src/config.ts";
import { SCHEMA } from "../../src/export/vehicle-columns.ts";
import type { Block } from "./documents.ts";
import { commandsOf, NOT_RUN, programOf, readDocuments, ROOT } from "./documents.ts";

/** Every machine that runs the tests has these. */
const PROGRAMS = new Set(["npm", "npx", "printf", "export"]);
/** The arguments of these are checked. `.ci/run` also runs curl. */
const NOT_INSTALLED = ["curl", "grpcurl"];
/** Blocks that `.ci/run` runs as programs, or as queries. */
const RUN = ["sh", "ts", "js", "sql"];
/** Blocks that are not: pandas is not an npm package, the JSON is what curl prints, a browser draws the diagrams, and cron runs at night. */
const READ_ONLY = ["python", "json", "mermaid", "cron"];

const documents = await readDocuments();
const commands = blocksOf("sh").flatMap(commandsOf);

function blocksOf(...languages: string[]): Block[] {
  return documents.flatMap(({ blocks }) => blocks).filter(({ language }) => languages.includes(language));
}

describe("commands that are not run", () => {
  test("are commands of the documentation", () => {
    expect(commands).toEqual(expect.arrayContaining(Object.keys(NOT_RUN)));
  });

  test("are otherwise those of programs that are not on every machine", () => {
    const others = commands.map(programOf).filter((program) => !PROGRAMS.has(program));

    expect(new Set(others)).toEqual(new Set(NOT_INSTALLED));
  });

  const foreign = commands.filter((command) => NOT_INSTALLED.includes(programOf(command))).map(parseCommand);

  test.each(foreign)("have known flags: $command", ({ flags }) => {
    expect(["-H", "-d", "-o", "-plaintext", "-cacert", "--cacert", "--data-binary", "--data", "-protoset"]).toEqual(
      expect.arrayContaining(flags),
    );
  });

  test.each(foreign.filter(({ json }) => json === undefined))("name a path that is served: $command", ({ target }) => {
    expect(target).toMatch(
      /^https?:\/\/[^/]+\/(healthz|readyz|metrics|openapi\.json|export\.parquet|decode|api\/vehicles\/.+)$/,
    );
  });

  test.each(foreign.filter(({ json }) => json !== undefined))("name a method and its fields: $command", (command) => {
    const method = VehicleService.methods.find(({ name }) => command.target.endsWith(`.VehicleService/${name}`));

    expect(command.target).toContain(VehicleService.typeName);
    expect(fromJsonString(method?.input ?? VehicleService.method.export.input, command.json ?? "")).toBeDefined();
  });

  test.each(blocksOf("python"))("name columns of the export: Python at line $line", ({ text }) => {
    const names = [...text.matchAll(/"([a-z_]+)"/g)].map(([, name]) => name);

    expect(SCHEMA.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  });
});

describe("the documentation", () => {
  const everything = documents.map(({ text }) => text).join("\n");

  test("has blocks in known languages only", () => {
    const known = blocksOf(...RUN, ...READ_ONLY);

    expect(known).toHaveLength(documents.flatMap(({ blocks }) => blocks).length);
  });

  test.each(blocksOf("ts", "js"))("runs or imports every program: line $line", ({ text }) => {
    const [, file = ""] = /^\/\/ try\/(\S+)\n/.exec(text) ?? [];

    expect(everything).toMatch(new RegExp(`^npx node try/${file}$|from "\\./${file}"`, "m"));
  });

  test.each(blocksOf("mermaid"))("draws directories that exist: line $line", ({ text }) => {
    const names = [...text.matchAll(/\bsrc\/(\w+)/g)].map(([, name]) => name);

    expect(readdirSync(`${ROOT}src`)).toEqual(expect.arrayContaining(names));
  });

  test("names npm scripts that exist", () => {
    const names = [...everything.matchAll(/npm run (?:--silent )?([a-z:]+)/g)].map(([, name = ""]) => name);

    expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(names));
  });

  test.each(documents)("has each other command in a block, too: $path", ({ prose }) => {
    const inline = [...prose.matchAll(/`((?:npx|curl|grpcurl) [^`]+)`/g)].map(([, command = ""]) => command);

    expect([...commands, "npx node"]).toEqual(expect.arrayContaining(inline));
  });

  test("uses the default ports on loopback, PostgreSQL's and that of collectors", () => {
    const { grpcPort, httpPort } = loadConfig({});
    const ports = [...everything.matchAll(/(?:127\.0\.0\.1|localhost):(\d+)/g)].map(([, port]) => Number(port));

    expect(new Set(ports)).toEqual(new Set([grpcPort, httpPort, 5432, 4318]));
  });
});

/** The arguments of curl or grpcurl. */
function parseCommand(command: string): { command: string; flags: string[]; json: string | undefined; target: string } {
  const words = [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
  const flags = words.filter((word) => /^--?[a-zA-Z]/.test(word));
  const json = flags.includes("-d") ? words[words.indexOf("-d") + 1] : undefined;
  return { command, flags, json, target: words.at(-1) ?? "" };
}
