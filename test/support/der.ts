/** One element of ASN.1 in DER: a tag, the length and the content. */
function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

/** The types that a certificate is made of. */
export const der = {
  sequence: (...content: Uint8Array[]) => element(0x30, ...content),
  set: (...content: Uint8Array[]) => element(0x31, ...content),
  boolean: (value: boolean) => element(0x01, Buffer.from([value ? 0xff : 0])),
  /** A positive integer whose first bit is not set. */
  integer: (...bytes: number[]) => element(0x02, Buffer.from(bytes)),
  bits: (content: Uint8Array) => element(0x03, Buffer.from([0]), content),
  octets: (content: Uint8Array) => element(0x04, content),
  text: (value: string) => element(0x0c, Buffer.from(value)),
  time: (value: Date) => element(0x18, Buffer.from(value.toISOString().replace(/[-:T]|\.\d+/g, ""))),
  /** Content with a context-specific tag, as `[3] EXPLICIT`. */
  tagged: (number: number, content: Uint8Array) => element(0xa0 + number, content),
  /** The same for primitive content, as `[2] IMPLICIT`. */
  choice: (number: number, content: Uint8Array) => element(0x80 + number, content),
  id(dotted: string): Buffer {
    const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
    return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(inBase128)]));
  },
};

function inBase128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) {
    digits.unshift((left & 0x7f) | 0x80);
  }
  return digits;
}
