/** The few kinds of protobuf fields that event files are made of, encoded (protobuf.dev, "Encoding"). */

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

const text = new TextEncoder();

const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** @param value an integer from 0 to 2^53 - 1; never negative, which would take ten bytes */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

const tag = (field: number, wireType: number): Uint8Array => varint(field * 8 + wireType);

/** A whole number from 0 on: int32, int64, enum. */
export const intField = (field: number, value: number): Uint8Array =>
  join([tag(field, VARINT), varint(value)]);

export function doubleField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return join([tag(field, FIXED64), bytes]);
}

export function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return join([tag(field, FIXED32), bytes]);
}

export const stringField = (field: number, value: string): Uint8Array =>
  messageField(field, text.encode(value));

/** A message within a message, of the fields given. */
export const messageField = (field: number, ...fields: readonly Uint8Array[]): Uint8Array => {
  const body = join(fields);
  return join([tag(field, DELIMITED), varint(body.length), body]);
};
