import type { AllowedOrigins } from "../../src/server/cors.ts";
import { ExportLimitError } from "../../src/export/errors.ts";
import type { PlainRoutes } from "../../src/server/router.ts";
import { answerText } from "../../src/server/exchange.ts";
import { NoSourceAvailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { serve } from "../support/serve.ts";

/** A service that refuses the first call of each method and path, and says when to repeat it. */
export interface RefusingService extends AsyncDisposable {
  /** Of both ports. */
  readonly address: string;
  /** The methods and paths that were called, in their order. The first call of each was refused. */
  readonly calls: string[];
}

const RETRY_AFTER_MS = 50;
const VEHICLE = { make: "PETERBILT", model: "388", modelYear: "2014" };

/** @param origins of pages that may call. Default: none. */
export async function startRefusingService(origins: AllowedOrigins = []): Promise<RefusingService> {
  const calls: string[] = [];
  const isFirst = (name: string): boolean => calls.push(name) > 0 && calls.filter((each) => each === name).length === 1;

  /** A path that answers a table. */
  const path = (name: string, status: number): PlainRoutes[keyof PlainRoutes] => ({
    answer(exchange) {
      if (isFirst(name)) {
        answerText(exchange, status, "refused", { "retry-after": "1" });
      } else {
        answerText(exchange, 200, "vin,make,model,model_year,error\n1XPWD40X1ED215307,PETERBILT,388,2014,\n");
      }
    },
  });

  const served = await serve({
    hasTokens: true,
    origins,
    handlers: {
      lookup({ vin }) {
        if (isFirst("Lookup")) {
          throw new NoSourceAvailableError(RETRY_AFTER_MS);
        }
        return { ...VEHICLE, vin: parseVin(vin) };
      },
      async *batchLookup({ vins }) {
        if (isFirst("BatchLookup")) {
          throw new ExportLimitError("refused", RETRY_AFTER_MS);
        }
        for (const [index, vin] of vins.entries()) {
          yield { index, vin, result: { case: "vehicle", value: { ...VEHICLE, vin } } };
        }
      },
      async *export() {
        if (isFirst("Export")) {
          throw new ExportLimitError("refused", RETRY_AFTER_MS);
        }
        const data = Buffer.from("not really a file");
        yield { part: { case: "metadata", value: { rowCount: 1n, sizeBytes: BigInt(data.length) } } };
        yield { part: { case: "data", value: data } };
      },
    },
    plain: { "POST /decode": path("decode", 429), "GET /export.parquet": path("export.parquet", 503) },
  });
  return { address: served.address, calls, [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() };
}
