/** Vehicles built with a wrong check digit: all VINs that begin so, up to the serial number, between two serials. */
interface Batch {
  readonly beginning: RegExp;
  readonly firstSerial: number;
  readonly lastSerial: number;
}

/**
 * The batches that NHTSA excepts (its table VinException, September 2026, lists their VINs one by one). What lies
 * between in a batch was not sold in the U.S., or its check digit happens to be right.
 */
const BATCHES: readonly Batch[] = [
  { beginning: /^ZACCJ[AB][A-D][HT]0FPB/, firstSerial: 52_184, lastSerial: 76_827 },
  { beginning: /^ZFBCF[XY][A-E][TW]0GP/, firstSerial: 317_640, lastSerial: 338_889 },
  { beginning: /^1C9F[AB][0-9]{3}.R1257/, firstSerial: 0, lastSerial: 494 },
  { beginning: /^KMTGE4S1PRU/, firstSerial: 8142, lastSerial: 8188 },
  { beginning: /^KMTG[AB]4S[CD]DRU/, firstSerial: 227_654, lastSerial: 228_061 },
  { beginning: /^ZN0A4ACD.MV/, firstSerial: 401_011, lastSerial: 401_070 },
  { beginning: /^7XFTC(?:161|201).S1/, firstSerial: 2152, lastSerial: 2381 },
  { beginning: /^PFDKB4AE.SF/, firstSerial: 117, lastSerial: 139 },
  { beginning: /^1P9PB443.SL881/, firstSerial: 35, lastSerial: 37 },
];

const SINGLE_VINS: ReadonlySet<string> = new Set([
  "1C9FA3822R1257949",
  "1K9SM5329KK007337",
  "1L9L6CV21PL593738",
  "1T9S262B43N013045",
  "4S9BDETA2LB559700",
  "VKD2C700SPP002555",
  "VKD2C700VPP002561",
  "VKD2C700VRP001817",
]);

/** Whether NHTSA knows that the maker gave this vehicle a wrong check digit, and does not mind. */
export function isWrongCheckDigitExcepted(vin: string): boolean {
  return SINGLE_VINS.has(vin) || BATCHES.some((batch) => contains(batch, vin));
}

function contains({ beginning, firstSerial, lastSerial }: Batch, vin: string): boolean {
  const [begin] = beginning.exec(vin) ?? [];
  if (begin === undefined) {
    return false;
  }
  const serial = Number(vin.slice(begin.length));
  return serial >= firstSerial && serial <= lastSerial;
}
