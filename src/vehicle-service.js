#!/usr/bin/env node
// The command `vehicle-service`: runs the command line on a Node that serves. `serve` alone is what `npm start` runs.
//
// Any Node must be able to parse this file.

import { fileURLToPath } from "node:url";

const args = process.argv.slice(2);
const isService = args[0] === "serve" && args.length === 1;
const commandLine = fileURLToPath(new URL("./cli/main.ts", import.meta.url));
process.argv.splice(2, args.length, ...(isService ? [] : ["node", commandLine, ...args]));
void import("./launch.js");
