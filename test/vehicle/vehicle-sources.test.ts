import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { unpackBundledSnapshot } from "../snapshot/unpacked-snapshot.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { UNKNOWN_FACTS } from "../support/fake-vpic-answers.ts";
import { ScriptedSource } from "../support/scripted-source.ts";
import type { SourceUnderTest } from "../support/vehicle-source-contract.ts";
import { describeVehicleSource } from "../support/vehicle-source-contract.ts";
import { startVpic } from "../vpic/start-vpic.ts";
import { directoryWithSnapshot } from "../support/shared.ts";

const KNOWN = parseVin("1XPWD40X1ED215307");
/** No manufacturer has its first three characters. */
const UNKNOWN = parseVin("000AAAAA0EA000001");

async function createVpic(): Promise<SourceUnderTest> {
  const { vpic, source } = await startVpic({ facts: { [UNKNOWN]: UNKNOWN_FACTS } });
  return {
    source,
    known: KNOWN,
    unknown: UNKNOWN,
    close: () => source[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await vpic[Symbol.asyncDispose]();
    },
  };
}

async function createSnapshot(): Promise<SourceUnderTest> {
  const source = await unpackBundledSnapshot(await directoryWithSnapshot());
  const close = () => source[Symbol.asyncDispose]();
  return { source, known: KNOWN, unknown: UNKNOWN, close, [Symbol.asyncDispose]: close };
}

async function createScripted(): Promise<SourceUnderTest> {
  const nothing = { make: "", model: "", modelYear: "", bodyClass: "", attributes: {} };
  const source = new ScriptedSource("vpic", ({ vin, modelYear }) =>
    vin === UNKNOWN
      ? aVehicle({ vin, ...nothing, verdict: { ...aVehicle().verdict, codes: [7], text: "7 - unknown" } })
      : aVehicle({ vin, ...(modelYear === undefined ? {} : { modelYear: String(modelYear) }) }),
  );
  const close = async (): Promise<void> => {
    source.script = () => Promise.reject(new SourceUnavailableError("closed"));
  };
  return { source, known: KNOWN, unknown: UNKNOWN, close, [Symbol.asyncDispose]: close };
}

describeVehicleSource("vPIC", createVpic);
describeVehicleSource("the snapshot", createSnapshot);
describeVehicleSource("the tests' scripted source", createScripted);
