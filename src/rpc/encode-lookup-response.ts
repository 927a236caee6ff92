import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";

/** The largest number that one byte of a varint holds. */
const VARINT_BYTE_MAX = 0x7f;
const VARINT_BASE = 0x80;
/** A negative number is written as a 64-bit one. */
const NEGATIVE_VARINT_BYTES = 10;
const ASCII_MAX = 0x7f;
/** From about this many characters on, Buffer's own functions are faster than a loop. */
const SHORT_TEXT = 32;
const FIRST_BUFFER_BYTES = 16 * 1_024;

/** Tags of fields: the field number and the wire type, as one byte. */
const varintTag = (field: number): number => field * 8;
const lengthTag = (field: number): number => field * 8 + 2;

/**
 * Encodes the answer of a Lookup as protobuf, from its last field to its first: a length stands before what it
 * measures. Ten times as fast as protobuf-es, which took a fifth of the time of a cached Lookup.
 *
 * @param room the number of bytes to leave free before the message
 */
export function encodeLookupResponse(message: LookupResponse, room: number): Buffer {
  const { decodeTime, verdict } = message;
  writer.clear();
  writer.text(12, message.dataDate);
  const attributes = Object.entries(message.attributes);
  for (let index = attributes.length - 1; index >= 0; index--) {
    const [key = "", value = ""] = attributes[index] ?? [];
    const end = writer.size;
    // An entry of a map always has both of its fields.
    writer.anyText(2, value);
    writer.anyText(1, key);
    writer.length(11, end);
  }
  if (verdict !== undefined) {
    const end = writer.size;
    writer.text(6, verdict.likelyVin);
    writer.text(5, verdict.additionalText);
    writer.text(4, verdict.possibleValues);
    writer.text(3, verdict.suggestedVin);
    writer.text(2, verdict.text);
    writer.numbers(1, verdict.codes);
    writer.length(10, end);
  }
  if (decodeTime !== undefined) {
    const end = writer.size;
    writer.number(2, decodeTime.nanos);
    writer.number(1, Number(decodeTime.seconds));
    writer.length(9, end);
  }
  writer.number(8, message.source);
  writer.number(7, Number(message.stale));
  writer.number(6, Number(message.cached));
  writer.text(5, message.bodyClass);
  writer.text(4, message.modelYear);
  writer.text(3, message.model);
  writer.text(2, message.make);
  writer.text(1, message.vin);
  return writer.copy(room);
}

/** Writes each field before the previous one. Fields with their default value are left out. */
class BackwardWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
  #size = 0;

  /** How many bytes have been written. They are the last ones of the buffer. */
  get size(): number {
    return this.#size;
  }

  clear(): void {
    this.#size = 0;
  }

  text(field: number, text: string): void {
    if (text !== "") {
      this.anyText(field, text);
    }
  }

  /** Writes an empty text as well. */
  anyText(field: number, text: string): void {
    const end = this.#size;
    if (text.length > SHORT_TEXT || !this.#shortText(text)) {
      this.#size = end;
      const at = this.#reserve(Buffer.byteLength(text));
      this.#buffer.write(text, at);
    }
    this.length(field, end);
  }

  number(field: number, value: number): void {
    if (value !== 0) {
      this.#varint(value);
      this.#varint(varintTag(field));
    }
  }

  numbers(field: number, values: readonly number[]): void {
    if (values.length > 0) {
      const end = this.#size;
      for (let index = values.length - 1; index >= 0; index--) {
        this.#varint(values[index] ?? 0);
      }
      this.length(field, end);
    }
  }

  /** Begins a field that has a length: a text, a message or packed numbers. @param end the size before its content */
  length(field: number, end: number): void {
    this.#varint(this.#size - end);
    this.#varint(lengthTag(field));
  }

  /** @param room how many bytes to leave free before what has been written */
  copy(room: number): Buffer {
    const bytes = Buffer.allocUnsafe(room + this.#size);
    this.#buffer.copy(bytes, room, this.#buffer.byteLength - this.#size);
    return bytes;
  }

  /** For a short text in ASCII, a loop takes a third of the time. Returns false if the text is not ASCII. */
  #shortText(text: string): boolean {
    const at = this.#reserve(text.length);
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > ASCII_MAX) {
        return false;
      }
      this.#buffer[at + index] = code;
    }
    return true;
  }

  #varint(value: number): void {
    const size = sizeOfVarint(value);
    let at = this.#reserve(size);
    let rest = value;
    for (const last = at + size - 1; at < last; at++) {
      this.#buffer[at] = VARINT_BASE | (rest & VARINT_BYTE_MAX);
      rest = Math.floor(rest / VARINT_BASE);
    }
    // The last byte of a 64-bit number has a single bit.
    this.#buffer[at] = rest < 0 ? 1 : rest;
  }

  /** Makes room for the next bytes and returns where they begin. */
  #reserve(bytes: number): number {
    const size = this.#size + bytes;
    if (size > this.#buffer.byteLength) {
      const larger = Buffer.allocUnsafeSlow(2 * size);
      this.#buffer.copy(larger, larger.byteLength - this.#size, this.#buffer.byteLength - this.#size);
      this.#buffer = larger;
    }
    this.#size = size;
    return this.#buffer.byteLength - size;
  }
}

/** Shared, because it is only used while one message is encoded. */
const writer = new BackwardWriter();

function sizeOfVarint(value: number): number {
  if (value < 0) {
    return NEGATIVE_VARINT_BYTES;
  }
  let size = 1;
  for (let rest = value; rest > VARINT_BYTE_MAX; rest = Math.floor(rest / VARINT_BASE)) {
    size++;
  }
  return size;
}
