import { execFileSync, spawnSync } from "node:child_process";

import { describe, expect, test } from "vitest";

import { encodeEventFile } from "./event-file.ts";
import { bitwiseCrc, readEvents, readRecords, unmasked } from "./read-events.fixture.ts";
import { float32Above } from "./tensorboard.ts";
import { crc32c, encodeRecord, maskedCrc } from "./tf-record.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("records", () => {
  test("[EP1] the CRC is CRC-32C: its check value and the vectors of RFC 3720", () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(ascending)).toBe(0x46dd794e);
    expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
    expect(crc32c(new Uint8Array())).toBe(0);
    for (let length = 0; length < 300; length += 7) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 167 + length) & 0xff);
      expect(crc32c(bytes)).toBe(bitwiseCrc(bytes));
      expect(unmasked(maskedCrc(bytes))).toBe(crc32c(bytes));
    }
  });

  test("[EP1] a record begins as those of TensorFlow itself do", () => {
    // The length 24 and its masked CRC: the first bytes of every event file that TensorFlow has written.
    const record = encodeRecord(new Uint8Array(24));
    expect(hex(record.subarray(0, 12))).toBe("1800000000000000a37f4b22");
    expect(record).toHaveLength(8 + 4 + 24 + 4);
  });

  test("[EP1] what was changed by one bit anywhere is found by its CRC", () => {
    const good = encodeEventFile(1, [{ wallTime: 2, step: 3, scalars: { loss: 0.5 } }]);
    expect(readRecords(good)).toHaveLength(2);
    for (let at = 8; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 1;
      expect(() => readRecords(bad)).toThrow();
    }
  });
});

describe("events", () => {
  test("[EP2] the first event names the format, byte for byte", () => {
    const [first] = readRecords(encodeEventFile(1.5, []));
    // wall_time = 1.5 as field 1 (double), "brain.Event:2" as field 3.
    const expected = `09000000000000f83f1a0d${Buffer.from("brain.Event:2").toString("hex")}`;
    expect(hex(first!)).toBe(expected);
  });

  test("[EP2] an event with a scalar, byte for byte", () => {
    const [, event] = readRecords(
      encodeEventFile(0, [{ wallTime: 1.5, step: 300, scalars: { loss: 0.25 } }]),
    );
    // step 300 as a varint ac 02; summary { value { tag "loss", simple_value 0.25 } }
    expect(hex(event!)).toBe("09000000000000f83f10ac022a0d0a0b0a046c6f7373150000803e");
  });

  test("[EP2] whatever is written is read again: scalars, texts in any script, large steps", () => {
    const scalars = { "evaluation/accuracy": 0.5, "a b": -1e-3, tiny: 1e-40, big: 3e38 };
    const text = `    köln: "${"é漢🙂".repeat(500)}"\n    | not a table |`;
    const events = [
      { wallTime: 1764507600.123, step: 0, texts: { task: text } },
      { wallTime: 1764507601, step: 127, scalars },
      { wallTime: 1764507602, step: 128, scalars: {} },
      { wallTime: 1764507603, step: 2 ** 40 + 1, scalars: { loss: 7 } },
    ];
    const read = readEvents(encodeEventFile(1764507600, events));
    const asFloats = Object.entries(scalars).map(([tag, value]) => [tag, Math.fround(value)]);
    expect(read).toEqual([
      { wallTime: 1764507600, step: 0, fileVersion: "brain.Event:2", scalars: {}, texts: {} },
      { ...events[0], scalars: {} },
      { ...events[1], scalars: Object.fromEntries(asFloats), texts: {} },
      { ...events[2], texts: {} },
      { ...events[3], texts: {} },
    ]);
  });

  const hasPython = spawnSync("python3", ["-c", "import struct"]).status === 0;
  test.skipIf(!hasPython)("[EP2] Python reads the same lengths, CRCs and numbers", () => {
    const file = encodeEventFile(10, [{ wallTime: 11.25, step: 5, scalars: { loss: 0.75 } }]);
    const program = `
import struct, sys
data = sys.stdin.buffer.read()
def crc(data):
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff
def masked(data):
    c = crc(data)
    return ((c >> 15 | c << 17) + 0xa282ead8) & 0xffffffff
at = 0
while at < len(data):
    length, length_crc = struct.unpack_from("<QI", data, at)
    body = data[at + 12 : at + 12 + length]
    (body_crc,) = struct.unpack_from("<I", data, at + 12 + length)
    assert length_crc == masked(data[at : at + 8]) and body_crc == masked(body)
    print(length, struct.unpack_from("<d", body, 1)[0], struct.unpack("<f", body[-4:])[0])
    at += length + 16
assert at == len(data)
`;
    const out = execFileSync("python3", ["-c", program], { input: file, encoding: "utf8" });
    const [version, event] = out.trim().split("\n");
    expect(version).toMatch(/^24 10\.0 /);
    expect(event).toBe("26 11.25 0.75");
  });

  test("[EP3] epsilon as float32 is never below what was spent, nor more than one step above", () => {
    for (const value of [0, 0.1, 1, 3.998, 4, 1e-30, 123456.789, 0.3333333333333333]) {
      const above = float32Above(value);
      expect(above).toBeGreaterThanOrEqual(value);
      expect(Math.fround(above)).toBe(above);
      expect(above - value).toBeLessThanOrEqual(value * 2 ** -23);
    }
    expect(float32Above(Infinity)).toBe(Infinity);
  });
});
