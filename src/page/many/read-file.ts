/** The largest file that is read. */
const LARGEST_BYTES = 30_000_000;
const ZIP = [0x50, 0x4b];

/**
 * Reads a dropped or chosen file as text: UTF-8, UTF-16 with a byte-order mark as Excel writes it, or else Windows'
 * western encoding.
 *
 * @throws Error with a sentence for the user
 */
export async function readFile(file: Blob): Promise<string> {
  if (file.size > LARGEST_BYTES) {
    throw new Error("This file has more than 30 MB. Split it, or keep only the column with the VINs.");
  }
  return decodeText(new Uint8Array(await file.arrayBuffer()));
}

/** @throws Error with a sentence for the user */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === ZIP[0] && bytes[1] === ZIP[1]) {
    throw new Error("This is a workbook or an archive. Save it as CSV or as text, or copy the column and paste it.");
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe) {
    return new TextDecoder("utf-16le").decode(bytes);
  }
  if (bytes[0] === 0xfe && bytes[1] === 0xff) {
    return new TextDecoder("utf-16be").decode(bytes);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
