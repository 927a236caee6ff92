import { timestampDate } from "@bufbuild/protobuf/wkt";
import { toJson } from "@bufbuild/protobuf";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import { openDecoder } from "./decoder.ts";
import { readOptionalService, SERVICE_HELP, SERVICE_OPTIONS } from "./service-client.ts";

const OPTIONS = {
  ...SERVICE_OPTIONS,
  full: { type: "boolean" },
  json: { type: "boolean" },
  "model-year": { type: "string" },
} as const;

/** Decodes one VIN: a card on a terminal, JSON elsewhere. */
export const lookupCommand: Command = {
  help: `usage: vehicle-service lookup [options] VIN

Decodes one VIN. Prints a line for each value on a terminal, and the JSON of the RPC
Lookup elsewhere.

  --full              also print the attributes
  --model-year YEAR   the model year, if you know it for certain
  --json              print JSON on a terminal, too
  --address ADDRESS   ask a running service: a URL such as http://127.0.0.1:8080, or
                      host:port for gRPC without TLS
${SERVICE_HELP}

Without --address, the command decodes by itself. It uses the cache and the sources that
a service with the same environment variables would use.

examples:
  vehicle-service lookup 1XPWD40X1ED215307
  vehicle-service lookup --full --address http://127.0.0.1:8080 1XPWD40X1ED215307

exit codes: 0 decoded, 1 not decoded, 2 the command could not run`,
  options: OPTIONS,
  faultCode: 2,
  async run(args) {
    const { values, positionals } = parseArguments(args, OPTIONS);
    const [vin, ...rest] = positionals;
    if (vin === undefined || rest.length > 0) {
      throw new UsageError("expected one VIN");
    }
    const { full = false, json = false } = values;
    const query = { vin, modelYear: parseModelYear(values["model-year"]) };
    const service = readOptionalService(values);
    await using decoder = await openDecoder(service);
    const [answer] = await decoder.decode([query], full ? "full" : "basic", untilInterrupted());
    if (answer === undefined || "fault" in answer) {
      process.stderr.write(`${answer?.fault}\n`);
      return 1;
    }
    const text =
      process.stdout.isTTY && !json
        ? formatCard(answer.vehicle)
        : JSON.stringify(toJson(LookupResponseSchema, answer.vehicle));
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

function parseModelYear(text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d{4}$/.test(text)) {
    throw new UsageError(`--model-year: expected a year such as 2014, not ${text}`);
  }
  return text === undefined ? undefined : Number(text);
}

/** The lines of a vehicle for a human reader. */
export function formatCard(vehicle: LookupResponse): string {
  const { verdict, source, dataDate, decodeTime, cached, stale } = vehicle;
  const origin = source === Source.SNAPSHOT ? `snapshot of ${dataDate}` : "vPIC";
  const time = decodeTime === undefined ? "" : `, decoded ${timestampDate(decodeTime).toISOString()}`;
  const age = stale ? ", stale" : cached ? ", from the cache" : "";
  const lines: [string, string][] = [
    ["VIN", vehicle.vin],
    ["make", vehicle.make],
    ["model", vehicle.model],
    ["model year", vehicle.modelYear],
    ["body class", vehicle.bodyClass],
    ["verdict", verdict?.text ?? ""],
    ["remarks", verdict?.additionalText ?? ""],
    ["suggested VIN", verdict?.suggestedVin ?? ""],
    ["possible values", verdict?.possibleValues ?? ""],
    ["likely VIN", verdict?.likelyVin ?? ""],
    ["source", origin + time + age],
    ...Object.entries(vehicle.attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const known = lines.filter(([, value]) => value !== "");
  const width = Math.max(...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}
