/** Reads event files by their published formats alone, sharing nothing with what writes them. */

/** CRC-32C bit by bit, as its polynomial defines it. */
export function bitwiseCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = ((crc ^ (byte >>> bit)) & 1) === 1;
      crc = odd ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
  }
  return ~crc >>> 0;
}

export function unmasked(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated << 15) | (rotated >>> 17)) >>> 0;
}

/** The data of each record. @throws Error for a length, a CRC or an end that is wrong */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < file.length) {
    const length = Number(view.getBigUint64(at, true));
    const data = file.subarray(at + 12, at + 12 + length);
    const crcs = [view.getUint32(at + 8, true), view.getUint32(at + 12 + length, true)];
    const truth = [bitwiseCrc(file.subarray(at, at + 8)), bitwiseCrc(data)];
    if (crcs.some((crc, i) => unmasked(crc) !== truth[i])) throw new Error(`wrong CRC at ${at}`);
    records.push(data);
    at += 12 + length + 4;
  }
  return records;
}

/** Fields of a protobuf message by their number, in order: numbers of wire types 0, bytes of 1, 2 and 5. */
export function readMessage(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("a varint breaks off");
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return Number(value);
    }
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error("a field breaks off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const kind = key % 8;
    const value =
      kind === 0 ? varint() : take(kind === 1 ? 8 : kind === 5 ? 4 : kind === 2 ? varint() : NaN);
    const field = Math.floor(key / 8);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion?: string;
  readonly scalars: Record<string, number>;
  readonly texts: Record<string, string>;
}

type Fields = Map<number, (number | Uint8Array)[]>;
const bytesOf = (fields: Fields, field: number) => fields.get(field)?.[0] as Uint8Array;
const textOf = (fields: Fields, field: number) => Buffer.from(bytesOf(fields, field)).toString();

/** The events of a file as TensorBoard takes them. */
export function readEvents(file: Uint8Array): ReadEvent[] {
  return readRecords(file).map((record) => {
    const event = readMessage(record);
    const scalars: Record<string, number> = {};
    const texts: Record<string, string> = {};
    const summary = event.has(5) ? readMessage(bytesOf(event, 5)) : new Map<number, never[]>();
    for (const one of summary.get(1) ?? []) {
      const value = readMessage(one as Uint8Array);
      const tag = textOf(value, 1);
      if (value.has(2)) {
        scalars[tag] = Buffer.from(bytesOf(value, 2)).readFloatLE();
        continue;
      }
      const metadata = readMessage(bytesOf(value, 9));
      const tensor = readMessage(bytesOf(value, 8));
      const plugin = textOf(readMessage(bytesOf(metadata, 1)), 1);
      const isString = tensor.get(1)?.[0] === 7 && bytesOf(tensor, 2).length === 0;
      if (plugin !== "text" || !isString) throw new Error(`${tag} is no text`);
      texts[tag] = textOf(tensor, 8);
    }
    return {
      wallTime: Buffer.from(bytesOf(event, 1)).readDoubleLE(),
      step: Number(event.get(2)?.[0] ?? 0),
      ...(event.has(3) ? { fileVersion: textOf(event, 3) } : {}),
      scalars,
      texts,
    };
  });
}
