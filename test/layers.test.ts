import { globSync, readFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** Which rooms of src/ each room may import, types included. `rpc libraries` are Connect, protobuf and generated code. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  vehicle: [],
  telemetry: [],
  files: [],
  cache: ["vehicle", "telemetry", "files"],
  vpic: ["vehicle", "telemetry"],
  snapshot: ["vehicle", "telemetry", "files"],
  access: ["vehicle", "telemetry", "files"],
  export: ["vehicle", "telemetry", "files", "cache"],
  rpc: ["vehicle", "telemetry", "access", "export", "rpc libraries"],
  table: ["vehicle", "rpc", "rpc libraries"],
  facade: ["vehicle", "telemetry", "access", "export", "rpc", "table", "server", "rpc libraries"],
  server: ["telemetry", "files", "access", "export", "rpc", "rpc libraries"],
  page: ["vehicle", "rpc libraries"],
  client: ["rpc libraries"],
  // The command line decodes in its own process, so it opens what the service opens.
  cli: [
    "vehicle",
    "table",
    "telemetry",
    "access",
    "snapshot",
    "rpc",
    "config.ts",
    "open-lookup.ts",
    "cache",
    "serve.ts",
    "rpc libraries",
  ],
};

/** The client is packed with relative imports, because `#gen/` belongs to this package. */
const RPC_LIBRARY = /^(#gen\/|\.\.\/\.\.\/gen\/|@connectrpc\/|@bufbuild\/)/;
const IMPORT = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g;
const SOURCES = fileURLToPath(new URL("../src", import.meta.url));

/** The imports of each file in the rooms, as the room that is imported, or the name of what is not ours. */
function importsOf(room: string): { readonly file: string; readonly target: string }[] {
  return globSync(`${room}/**/*.{ts,tsx,js}`, { cwd: SOURCES }).flatMap((file) => {
    const text = readFileSync(join(SOURCES, file), "utf8");
    return [...text.matchAll(IMPORT)].map(([, specifier = ""]) => ({ file, target: targetOf(file, specifier) }));
  });
}

function targetOf(file: string, specifier: string): string {
  if (RPC_LIBRARY.test(specifier)) {
    return "rpc libraries";
  }
  return specifier.startsWith(".") ? (join(dirname(file), specifier).split(sep)[0] ?? "") : `package ${specifier}`;
}

test("every room is in the list", () => {
  const rooms = globSync("*/", { cwd: SOURCES });

  expect(rooms.toSorted()).toEqual(Object.keys(ALLOWED).toSorted());
});

test.each(Object.entries(ALLOWED))("%s imports only what is listed for it", (room, allowed) => {
  const foreign = importsOf(room).filter(
    ({ target }) => target !== room && !allowed.includes(target) && !target.startsWith("package "),
  );

  expect(foreign).toEqual([]);
});

test("vehicle imports no package: it does no I/O and knows no framework", () => {
  const packages = importsOf("vehicle").filter(({ target }) => target.startsWith("package "));

  expect(packages).toEqual([]);
});
