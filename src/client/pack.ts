/** Packs the client as an npm package in node_modules/.cache: `npm run pack:client`. */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const CONTENT = join(ROOT, "node_modules/.cache/client");
const { version, license, dependencies, devDependencies }: Manifest = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
);

/** The parts of package.json that are used here. */
interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = {
  name: "vehicle-service-client",
  version,
  description: "A client of VehicleService, which decodes VINs, for Node and browsers.",
  license,
  type: "module",
  sideEffects: false,
  exports: {
    types: "./src/client/create-vehicle-client.d.ts",
    default: "./src/client/create-vehicle-client.js",
  },
  engines: { node: ">=20" },
  dependencies: {
    "@bufbuild/protobuf": `^${dependencies["@bufbuild/protobuf"]}`,
    "@connectrpc/connect": `^${dependencies["@connectrpc/connect"]}`,
    "@connectrpc/connect-web": `^${devDependencies["@connectrpc/connect-web"]}`,
  },
};

rmSync(CONTENT, { recursive: true, force: true });
execFileSync("tsc", ["--project", import.meta.dirname, "--outDir", CONTENT], { stdio: "inherit" });
writeFileSync(join(CONTENT, "package.json"), JSON.stringify(manifest, undefined, 2));
copyFileSync(join(ROOT, "LICENSE"), join(CONTENT, "LICENSE"));
// Prints the file name of the package.
execFileSync("npm", ["pack", "--silent", "--pack-destination", ".."], { cwd: CONTENT, stdio: "inherit" });
