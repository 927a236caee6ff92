#!/usr/bin/env node
// The command `vehicle-service`: runs the command line on a Node that serves. `serve` alone is what `npm start` runs.
//
// Any Node must be able to parse this file.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const { config } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const args = process.argv.slice(2);
const isService = args[0] === "serve" && args.length === 1;
const entry = fileURLToPath(new URL(isService ? "./main.ts" : "./cli/main.ts", import.meta.url));
const entryArgs = isService ? [] : args;
// A long decode collects garbage more often than the service does, to stay below 300 MB.
const flags = isService ? config.nodeFlags.split(" ") : ["--max-semi-space-size=16", "--heap-growing-percent=50"];
process.argv.splice(2, args.length, "node", ...flags, entry, ...entryArgs);
void import("./launch.js");
