import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Encoding, PayloadFormat } from "../index.ts";
import {
  decodePayload,
  encodePayload,
  formatBytes,
  formatOfBytes,
  isFederatedError,
  keptValues,
  MAX_SCALE,
  maxPayloadBytes,
  payloadSections,
  readPayload,
} from "../index.ts";
import { bitsFrom } from "./random-bits.fixture.ts";

const VALUES = ["float32", "bfloat16", "int8", "int4"] as const;
const anyValues = fc.constantFrom(...VALUES);
const anySparse = fc.record({
  kind: fc.constantFrom("topK" as const, "randomK" as const),
  fraction: fc.double({ min: 1e-5, max: 1, noNaN: true }),
  values: anyValues,
  feedback: fc.boolean(),
});
const anyEncoding: fc.Arbitrary<Encoding> = fc.oneof(
  anyValues.map((kind) => ({ kind })),
  anySparse,
);
/** Of any length around the borders of blocks, and of any size that a scale allows. */
const anyVector = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1023, 1024, 1025, 2048, 2050)),
    fc.integer(),
    fc.integer({ min: -140, max: 100 }),
  )
  .map(([length, seed, exponent]) => {
    const bits = new Uint16Array(length);
    bitsFrom(seed)(bits);
    // Some zeros, and numbers of many sizes.
    return Float32Array.from(
      bits,
      (half) => (half % 7 === 0 ? 0 : (half - 32_768) ** 3) * 2 ** (exponent - 40),
    );
  });

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const encoded = (encoding: Encoding, numbers: readonly number[], seed = 1) =>
  encodePayload(encoding, Float32Array.from(numbers), bitsFrom(seed));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** The code that `run` throws; anything else fails the test. */
function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFederatedError(error)) return error.code;
    throw error;
  }
  return "none";
}

describe("sizes", () => {
  it("[EC1] an encoding takes the bytes that its plan lets one know", () => {
    fc.assert(
      fc.property(anyEncoding, anyVector, fc.integer(), (encoding, vector, seed) => {
        const { length } = encodePayload(encoding, vector, bitsFrom(seed));
        const most = maxPayloadBytes(encoding, vector.length);
        expect(length % 4).toBe(0);
        if (encoding.kind === "topK") expect(length).toBeLessThanOrEqual(most);
        else expect(length).toBe(most);
      }),
    );
    const million = (encoding: Encoding) => maxPayloadBytes(encoding, 1_000_000);
    expect(million({ kind: "float32" })).toBe(4_000_000);
    expect(million({ kind: "bfloat16" })).toBe(2_000_000);
    expect(million({ kind: "int8" })).toBe(1_003_908);
    expect(million({ kind: "int4" })).toBe(503_908);
    const share = { fraction: 0.01, values: "int4", feedback: true } as const;
    expect(million({ kind: "randomK", ...share })).toBe(8 + 40 + 5000);
    // At most 7 812 gaps of 128 and more fit, and 61 of 16 384 and more.
    expect(million({ kind: "topK", ...share })).toBe(8 + 17_876 + 40 + 5000);
  });

  it("[EC1] no gaps of ascending indices take more than the bound", () => {
    const rows = fc.uniqueArray(fc.nat({ max: 70_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(rows, (indices) => {
        const vector = new Float32Array(70_001);
        const told: number[] = [];
        for (const index of indices) vector[index] = 1;
        const fraction = indices.length / vector.length;
        const encoding = { kind: "topK", values: "float32", feedback: true, fraction } as const;
        const payload = encodePayload(encoding, vector, bitsFrom(1));
        expect(payload.length).toBeLessThanOrEqual(maxPayloadBytes(encoding, vector.length));
        readPayload(encoding, vector.length, payload, (_, index) => told.push(index));
        expect(told).toEqual(indices.sort((a, b) => a - b));
      }),
    );
  });

  it("[EC1] two bytes of a header name every format, and nothing else", () => {
    const formats: PayloadFormat[] = [
      ...VALUES.map((kind) => ({ kind })),
      ...VALUES.map((values) => ({ kind: "topK" as const, values })),
      ...VALUES.map((values) => ({ kind: "randomK" as const, values })),
    ];
    for (const format of formats) expect(formatOfBytes(...formatBytes(format))).toEqual(format);
    let named = 0;
    for (let pair = 0; pair < 65_536; pair++) {
      if (formatOfBytes(pair >> 8, pair & 255) !== undefined) named += 1;
    }
    expect(named).toBe(formats.length);
  });
});

describe("formats", () => {
  it("[EC2] have exactly the bytes that are written down", () => {
    // 3.14159274 is 0x40490fdb; its lower half is below one half.
    expect(hex(encoded({ kind: "bfloat16" }, [1, -2, Math.PI]))).toBe(
      "803f" + "00c0" + "4940" + "0000",
    );
    expect(hex(encoded({ kind: "int8" }, [127, -127, 0, 5]))).toBe("0000803f" + "7f810005");
    expect(hex(encoded({ kind: "int4" }, [7, -7, 3]))).toBe("0000803f" + "1f" + "8b" + "0000");
    const sparse = (kind: "topK" | "randomK", values: "float32" | "int8", count: number) =>
      ({ kind, fraction: count / 300, values, feedback: true }) as const;
    const vector = new Float32Array(300);
    vector[2] = 127;
    vector[299] = -64;
    expect(hex(encodePayload(sparse("topK", "int8", 2), vector, bitsFrom(1)))).toBe(
      "02000000" +
        "03000000" + // three bytes of gaps: 2, and 296 in two
        "02" +
        "a802" +
        "00" +
        "0000803f" +
        "7fc0" +
        "0000",
    );
    const all = encoded(sparse("randomK", "float32", 300), Array<number>(300).fill(1));
    expect(hex(all).slice(0, 8)).toBe("2c010000");
    expect(hex(all).slice(16)).toBe("0000803f".repeat(300));
    expect(codeOf(() => decodePayload({ kind: "topK", values: "int8" }, 300, all))).toBe(
      "MALFORMED_MESSAGE",
    );
  });

  it("[EC2] the hash that chooses in a stratum is the one that is written down", () => {
    // By hand, from the definition: h(seed, j) = fmix32(seed xor fmix32(j + 0x9e3779b9)).
    const payload = new Uint8Array(8 + 4 * 4);
    const view = new DataView(payload.buffer);
    view.setUint32(0, 4, true);
    view.setUint32(4, 0xdeadbeef, true);
    for (let j = 0; j < 4; j++) view.setFloat32(8 + 4 * j, j + 1, true);
    const told: number[] = [];
    readPayload({ kind: "randomK", values: "float32" }, 1003, payload, (_, index) =>
      told.push(index),
    );
    const mix = (bits: bigint): bigint => {
      let h = bits & 0xffffffffn;
      h = ((h ^ (h >> 16n)) * 0x85ebca6bn) & 0xffffffffn;
      h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) & 0xffffffffn;
      return h ^ (h >> 16n);
    };
    const expected = [0n, 1n, 2n, 3n].map((j) => {
      const start = (j * 1003n) / 4n;
      const size = ((j + 1n) * 1003n) / 4n - start;
      return Number(start + (mix(0xdeadbeefn ^ mix(j + 0x9e3779b9n)) % size));
    });
    expect(told).toEqual(expected);
  });

  it("[EC2] float32 comes out as it went in, and bfloat16 as the nearest of its numbers", () => {
    fc.assert(
      fc.property(anyVector, (vector) => {
        const whole = encodePayload({ kind: "float32" }, vector, bitsFrom(1));
        expect(decodePayload({ kind: "float32" }, vector.length, whole)).toEqual(vector);
        const half = encodePayload({ kind: "bfloat16" }, vector, bitsFrom(1));
        const decoded = decodePayload({ kind: "bfloat16" }, vector.length, half);
        // Eight bits: half a unit of the last is 2^-8 of a number, and below 2^-126 they are 2^-133 apart.
        const bound = (value: number) => Math.max(2 ** -8 * Math.abs(value), 2 ** -134);
        const far = vector.filter((value, i) => Math.abs(decoded[i]! - value) > bound(value));
        expect([...far]).toEqual([]);
        expect(encodePayload({ kind: "bfloat16" }, decoded, bitsFrom(1))).toEqual(half);
      }),
    );
    const ties = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, -3.4e38];
    const decoded = decodePayload({ kind: "bfloat16" }, 4, encoded({ kind: "bfloat16" }, ties));
    expect([...decoded]).toEqual([
      1,
      1 + 2 ** -6,
      (2 - 2 ** -7) * 2 ** 127,
      -(2 - 2 ** -7) * 2 ** 127,
    ]);
  });
});

describe("rounding by chance", () => {
  const levels = { int8: 127, int4: 7 } as const;

  it("[EC3] is never off by as much as a scale, which is the largest of a block over its levels", () => {
    fc.assert(
      fc.property(fc.constantFrom("int8", "int4"), anyVector, fc.nat(), (kind, vector, seed) => {
        const payload = encodePayload({ kind }, vector, bitsFrom(seed));
        const decoded = decodePayload({ kind }, vector.length, payload);
        const scales = new Float32Array(payload.buffer, 0, Math.ceil(vector.length / 1024));
        for (const [b, scale] of scales.entries()) {
          const block = vector.subarray(1024 * b, 1024 * (b + 1));
          const largest = block.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
          expect(scale * levels[kind]).toBeGreaterThanOrEqual(largest);
          // One float32 above the quotient, at most.
          expect(scale).toBeLessThanOrEqual((largest / levels[kind]) * (1 + 2 ** -23) + 2 ** -149);
        }
        // The product of scale and number is rounded to float32 once more, by this reader.
        const bound = (value: number, i: number) =>
          scales[i >> 10]! + 2 ** -24 * Math.abs(value) + 2 ** -149;
        const far = vector.filter((value, i) => Math.abs(decoded[i]! - value) > bound(value, i));
        expect([...far]).toEqual([]);
      }),
    );
  });

  it.each(["int8", "int4"] as const)("[EC3] has the number itself as its mean: %s", (kind) => {
    const count = 1024;
    const trials = 2000;
    const vector = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * 3);
    vector[0] = 3;
    const scale = 3 / levels[kind];
    const sums = new Float64Array(count);
    for (let trial = 0; trial < trials; trial++) {
      const payload = encodePayload({ kind }, vector, bitsFrom(trial));
      readPayload({ kind }, count, payload, (value, i) => {
        sums[i] = (sums[i] as number) + (value - (vector[i] as number));
      });
    }
    // Hoeffding: errors of one number lie in a range of one scale, so that the mean of n is above
    // scale * sqrt(ln(2 / p) / (2 n)) with a chance of at most p: here 1e-9 for all numbers together.
    const bound = (n: number, p: number) => scale * Math.sqrt(Math.log(2 / p) / (2 * n));
    let all = 0;
    let towards = 0;
    for (const [i, sum] of sums.entries()) {
      expect(Math.abs(sum / trials)).toBeLessThan(bound(trials, 1e-9 / count));
      all += sum;
      // A rounding that leans towards zero, or away from it, would hide in the sum.
      towards += sum * Math.sign(vector[i] as number);
    }
    expect(Math.abs(all / (count * trials))).toBeLessThan(bound(count * trials, 1e-9));
    expect(Math.abs(towards / (count * trials))).toBeLessThan(bound(count * trials, 1e-9));
  });

  it("[EC3] numbers that are whole multiples of the scale are not rounded at all", () => {
    for (let seed = 0; seed < 50; seed++) {
      const vector = Float32Array.from({ length: 255 }, (_, i) => i - 127);
      const payload = encodePayload({ kind: "int8" }, vector, bitsFrom(seed));
      expect(decodePayload({ kind: "int8" }, 255, payload)).toEqual(vector);
    }
    for (const kind of ["int8", "int4"] as const) {
      const zeros = encoded({ kind }, Array<number>(1030).fill(0));
      expect(decodePayload({ kind }, 1030, zeros)).toEqual(new Float32Array(1030));
    }
  });
});

describe("shares", () => {
  it("[EC4] topK tells the largest, of equal ones the first, and nothing of the others", () => {
    fc.assert(
      fc.property(anyVector, fc.double({ min: 1e-5, max: 1, noNaN: true }), (vector, fraction) => {
        const encoding = { kind: "topK", fraction, values: "float32", feedback: true } as const;
        const kept = keptValues(fraction, vector.length);
        const wanted = [...vector.keys()]
          .sort((a, b) => Math.abs(vector[b]!) - Math.abs(vector[a]!) || a - b)
          .slice(0, kept);
        const told = new Map<number, number>();
        const payload = encodePayload(encoding, vector, bitsFrom(1));
        readPayload(encoding, vector.length, payload, (value, index) => told.set(index, value));
        expect([...told.keys()]).toEqual(wanted.sort((a, b) => a - b));
        for (const [index, value] of told) expect(value).toBe(vector[index]);
      }),
    );
  });

  it("[EC4] randomK tells one number of every stratum, in order, whatever the seed", () => {
    const shape = fc
      .integer({ min: 1, max: 5000 })
      .chain((parameterCount) =>
        fc.tuple(fc.constant(parameterCount), fc.integer({ min: 1, max: parameterCount })),
      );
    fc.assert(
      fc.property(shape, fc.nat(), ([parameterCount, kept], seed) => {
        const fraction = kept / parameterCount;
        const vector = new Float32Array(parameterCount).map((_, i) => i + 1);
        const encoding = { kind: "randomK", fraction, values: "float32", feedback: true } as const;
        const payload = encodePayload(encoding, vector, bitsFrom(seed));
        let j = 0;
        readPayload(encoding, parameterCount, payload, (value, index) => {
          const start = Math.floor((j * parameterCount) / kept);
          const end = Math.floor(((j + 1) * parameterCount) / kept);
          if (value === index + 1 && index >= start && index < end) j += 1;
        });
        expect(j).toBe(kept);
      }),
    );
  });

  it("[EC4] randomK without feedback has the vector as its mean", () => {
    const parameterCount = 50;
    const kept = 13;
    const trials = 40_000;
    const fraction = kept / parameterCount;
    const encoding = { kind: "randomK", values: "float32", feedback: false, fraction } as const;
    const vector = new Float32Array(parameterCount).map((_, i) => (i % 3 === 0 ? -1 : 1) * (1 + i));
    const sums = new Float64Array(parameterCount);
    const random = bitsFrom(4);
    for (let trial = 0; trial < trials; trial++) {
      const payload = encodePayload(encoding, vector, random);
      readPayload(encoding, parameterCount, payload, (value, i) => {
        sums[i] = (sums[i] as number) + value;
      });
    }
    for (const [i, value] of vector.entries()) {
      // Zero, or the number times its stratum of at most four: a range of 4 |x|, as above.
      const bound =
        4 * Math.abs(value) * Math.sqrt(Math.log((2 * parameterCount) / 1e-9) / (2 * trials));
      expect(Math.abs((sums[i] as number) / trials - value)).toBeLessThan(bound);
    }
  });

  it("[EC4] of a share something is always told, and never more than there is", () => {
    expect(keptValues(1e-5, 10)).toBe(1);
    expect(keptValues(1, 10)).toBe(10);
    expect(keptValues(0.07, 100)).toBe(7);
    expect(keptValues(0.1, 1_663_370)).toBe(166_337);
  });
});

describe("what is no payload", () => {
  it("[EC5] numbers that are not finite, or too large for a scale, are refused before they are sent", () => {
    for (const kind of VALUES) {
      for (const poison of [Number.NaN, Infinity, -Infinity]) {
        expect(codeOf(() => encoded({ kind }, [1, poison, 2]))).toBe("UPDATE_NOT_FINITE");
        const all = { kind: "topK", fraction: 1, values: kind, feedback: false } as const;
        expect(codeOf(() => encoded(all, [1, poison, 2]))).toBe("UPDATE_NOT_FINITE");
      }
      const large = codeOf(() => encoded({ kind }, [2 ** 121]));
      expect(large).toBe(kind === "int8" || kind === "int4" ? "UPDATE_NOT_FINITE" : "none");
    }
    // Times its stratum it is no float32 any more.
    const far = { kind: "randomK", fraction: 0.5, values: "float32", feedback: false } as const;
    expect(codeOf(() => encoded(far, [3e38, 3e38]))).toBe("UPDATE_NOT_FINITE");
  });

  it.each<[string, PayloadFormat, number, string, string]>([
    ["NaN", { kind: "float32" }, 1, "0000c07f", "UPDATE_NOT_FINITE"],
    ["a short vector", { kind: "float32" }, 2, "0000803f", "MALFORMED_MESSAGE"],
    ["infinity", { kind: "bfloat16" }, 1, "807f 0000", "UPDATE_NOT_FINITE"],
    ["padding", { kind: "bfloat16" }, 1, "803f 0100", "MALFORMED_MESSAGE"],
    ["a negative scale", { kind: "int8" }, 1, "000080bf 01000000", "MALFORMED_MESSAGE"],
    ["a scale of NaN", { kind: "int8" }, 1, "0000c07f 01000000", "MALFORMED_MESSAGE"],
    ["an infinite scale", { kind: "int8" }, 1, "0000807f 00000000", "MALFORMED_MESSAGE"],
    ["a scale too large", { kind: "int8" }, 1, "0100807b 00000000", "MALFORMED_MESSAGE"],
    ["padding of int8", { kind: "int8" }, 1, "0000803f 01000001", "MALFORMED_MESSAGE"],
    ["no scale", { kind: "int8" }, 4, "01010101", "MALFORMED_MESSAGE"],
    ["a nibble of 0", { kind: "int4" }, 1, "0000803f 80000000", "MALFORMED_MESSAGE"],
    ["a last nibble that is no 8", { kind: "int4" }, 1, "0000803f 99000000", "MALFORMED_MESSAGE"],
    ["padding of int4", { kind: "int4" }, 1, "0000803f 89010000", "MALFORMED_MESSAGE"],
    ["k = 0", topK(), 9, "00000000 00000000", "MALFORMED_MESSAGE"],
    ["k = 0 and gaps", topK(), 9, "00000000 01000000 00000000", "MALFORMED_MESSAGE"],
    [
      "more than there are",
      topK(),
      1,
      "02000000 02000000 00000000 0000803f 0000803f",
      "MALFORMED_MESSAGE",
    ],
    [
      "an index behind the end",
      topK(),
      9,
      "01000000 01000000 09000000 0000803f",
      "MALFORMED_MESSAGE",
    ],
    [
      "gaps that end early",
      topK(),
      9,
      "02000000 01000000 01000000 0000803f 0000803f",
      "MALFORMED_MESSAGE",
    ],
    ["gaps that go on", topK(), 9, "01000000 02000000 01010000 0000803f", "MALFORMED_MESSAGE"],
    ["a gap cut short", topK(), 900, "01000000 01000000 81000000 0000803f", "MALFORMED_MESSAGE"],
    [
      "a gap longer than it need be",
      topK(),
      900,
      "01000000 02000000 81000000 0000803f",
      "MALFORMED_MESSAGE",
    ],
    [
      "a gap without end",
      topK(),
      900,
      "01000000 08000000 ffffffff ffffff7f 0000803f",
      "MALFORMED_MESSAGE",
    ],
    ["padding of gaps", topK(), 9, "01000000 01000000 01000001 0000803f", "MALFORMED_MESSAGE"],
    [
      "more bytes of gaps than there are",
      topK(),
      9,
      "01000000 ffffffff 01000000 0000803f",
      "MALFORMED_MESSAGE",
    ],
    [
      "a value too few",
      { kind: "randomK", values: "float32" },
      9,
      "02000000 00000000 0000803f",
      "MALFORMED_MESSAGE",
    ],
    [
      "a value of NaN",
      { kind: "randomK", values: "float32" },
      9,
      "01000000 00000000 0000c07f",
      "UPDATE_NOT_FINITE",
    ],
    ["nothing", topK(), 9, "", "MALFORMED_MESSAGE"],
  ])("[EC5] is refused: %s", (_, format, parameterCount, bytes, code) => {
    expect(codeOf(() => decodePayload(format, parameterCount, bytesOf(bytes)))).toBe(code);
  });

  it("[EC5] a share that is not the plan's is refused", () => {
    const sent = { kind: "topK", fraction: 0.5, values: "int8", feedback: true } as const;
    const payload = encoded(sent, [1, 2, 3, 4]);
    expect(payloadSections(sent, 4, payload)).toEqual({
      ...{ count: 2, gapBytes: 2, seed: 0, valuesAt: 12 },
    });
    expect(codeOf(() => payloadSections({ ...sent, fraction: 0.25 }, 4, payload))).toBe(
      "MALFORMED_MESSAGE",
    );
  });

  it("[EC5] whatever bytes come: a code, or numbers that are finite, each index once and in order", () => {
    const damaged = fc.record({
      encoding: anyEncoding,
      vector: anyVector,
      cut: fc.nat({ max: 3 }),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
    });
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(damaged, ({ encoding, vector, cut, changes }) => {
        const whole = encodePayload(encoding, vector, bitsFrom(7));
        const bytes = whole.slice(0, whole.length - 4 * cut * (changes.length % 2));
        // Most of what can go wrong stands at the beginning.
        for (const [at, value] of changes) bytes[at % Math.min(bytes.length, 40)] = value;
        let last = -1;
        const strange: unknown[] = [];
        const code = codeOf(() =>
          readPayload(encoding, vector.length, bytes, (value, index) => {
            const isSound = index > last && index < vector.length && Math.abs(value) < Infinity;
            if (!isSound) strange.push([value, index]);
            last = index;
          }),
        );
        expect(strange).toEqual([]);
        expect(["none", "MALFORMED_MESSAGE", "UPDATE_NOT_FINITE"]).toContain(code);
        if (code === "none") accepted += 1;
        else refused += 1;
      }),
      { numRuns: 1000, seed: 5 },
    );
    expect(accepted).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  it("[EC5] the largest scale keeps every number finite", () => {
    const payload = encoded({ kind: "int8" }, [MAX_SCALE, -MAX_SCALE]);
    const decoded = decodePayload({ kind: "int8" }, 2, payload);
    expect(Math.abs(decoded[0]! / MAX_SCALE - 1)).toBeLessThan(1e-6);
    new DataView(payload.buffer).setFloat32(0, MAX_SCALE, true);
    payload.set([0x80, 0x7f], 4);
    expect([...decodePayload({ kind: "int8" }, 2, payload)]).toEqual([
      ...[-128 * MAX_SCALE, 127 * MAX_SCALE],
    ]);
  });
});

function topK(): PayloadFormat {
  return { kind: "topK", values: "float32" };
}
