import type { Encoding, ValueEncoding } from "@tributary/protocol";
import { decodePayload, encodePayload, l2Norm } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { EncodedDelta } from "../encoded-delta.ts";
import { denseDelta } from "../encoded-delta.ts";
import { atOnce, SLICE } from "../slices.ts";
import type { DeltaSum, DeltaSumOptions } from "./delta-sum.ts";
import { openKernel } from "./engine.ts";
import { normOf } from "./open-kernel.ts";
import { createPlainSum, plainAddModular, plainNorm } from "./plain.ts";
import { normElsewhere, openSimdSum } from "./simd-sum.ts";

const VALUES: readonly ValueEncoding[] = ["float32", "bfloat16", "int8", "int4"];
const ENCODINGS: readonly Encoding[] = [
  ...VALUES.map((kind) => ({ kind })),
  ...VALUES.flatMap((values) =>
    (["topK", "randomK"] as const).map((kind) => ({
      kind,
      values,
      fraction: 0.3,
      feedback: false,
    })),
  ),
];
const named = ENCODINGS.map(
  (encoding) =>
    [`${encoding.kind} ${"values" in encoding ? encoding.values : ""}`, encoding] as const,
);

/** Bits for rounding by chance that are the same in every run. */
function bitsFrom(seed: number) {
  let state = seed | 1;
  return (bits: Uint16Array) => {
    for (let i = 0; i < bits.length; i++) {
      state = Math.imul(state, 0x2c1b3c6d) + 0x297a2d39;
      bits[i] = state >>> 16;
    }
    return bits;
  };
}

/** Elements of many magnitudes, zeros and -0 among them. */
function vectorOf(length: number, seed: number): Float32Array {
  const bits = bitsFrom(seed)(new Uint16Array(2 * length));
  return Float32Array.from({ length }, (_, i) => {
    const [magnitude = 0, number = 0] = bits.subarray(2 * i);
    const sign = magnitude % 2 === 0 ? 1 : -1;
    return magnitude % 17 === 0
      ? sign * 0
      : sign * (number / 65_536) * 2 ** ((magnitude >> 8) % 24);
  });
}

const encoded = (encoding: Encoding, vector: Float32Array, seed = 7): EncodedDelta => ({
  encoding,
  parameterCount: vector.length,
  payload: encodePayload(encoding, vector, bitsFrom(seed)),
});

function simdSum(parameterCount: number, options: DeltaSumOptions = {}): DeltaSum {
  const sum = openSimdSum(parameterCount, options);
  if (sum === undefined) throw new Error("this engine has no SIMD");
  return sum;
}

/** The delta in a slot of the sum, as an upload would fill it. */
function inSlot(sum: DeltaSum, delta: EncodedDelta): EncodedDelta {
  const slot = sum.slots.take(delta.payload.length);
  if (slot === undefined) throw new Error("no slot is free");
  slot.bytes.set(delta.payload);
  return { ...delta, payload: slot.bytes };
}

/** Lengths at which blocks, tiles, lanes and nibbles end, or do not. */
const LENGTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 1_023, 1_024, 1_025, 2_050, 4_099];
const anyLength = fc.oneof(fc.constantFrom(...LENGTHS), fc.integer({ min: 1, max: 200 }));

describe("the kernel of sums", () => {
  test.each(named)(
    "[KN1] %s: SIMD gives the bits of plain code, in slots and out of them",
    (_, encoding) => {
      fc.assert(
        fc.property(
          anyLength,
          fc.array(
            fc.tuple(fc.integer(), fc.double({ min: 0, max: 1e4, noNaN: true }), fc.boolean()),
            {
              minLength: 1,
              maxLength: 11,
            },
          ),
          fc.boolean(),
          (length, deltas, whole) => {
            const options = { whole };
            const [simd, plain] = [simdSum(length, options), createPlainSum(length, options)];
            for (const [seed, factor, lies] of deltas) {
              const delta = encoded(encoding, vectorOf(length, seed), seed);
              plain.add(delta, factor);
              simd.add(lies ? inSlot(simd, delta) : delta, factor);
            }
            expect(hasSameBits(simd.sum(), plain.sum())).toBe(true);
          },
        ),
        { numRuns: 15 },
      );
    },
  );

  test.each(named)(
    "[KN13] %s: the mean has the bits of a sum divided in plain code, with deltas that wait and across slices",
    (_, encoding) => {
      for (const [length, counts] of [
        [SLICE + 2_053, [4, 5]],
        [1_027, [0, 1, 2, 3, 4, 7, 8, 13]],
      ] as const) {
        for (const count of counts) {
          const [simd, plain] = [simdSum(length), createPlainSum(length)];
          for (let seed = 1; seed <= count; seed++) {
            const delta = encoded(encoding, vectorOf(length, seed), seed);
            plain.add(delta, seed);
            simd.add(inSlot(simd, delta), seed);
          }
          const exact = plain.sum().map((value) => value / 7);
          for (const sum of [simd, plain]) {
            const mean = atOnce(sum.divide(7));
            expect(hasSameBits(mean, exact)).toBe(true);
            expect(() => sum.sum()).toThrow("become a mean");
            expect(() => sum.add(encoded(encoding, vectorOf(length, 1)), 1)).toThrow(
              "become a mean",
            );
            expect(() => atOnce(sum.divide(7))).toThrow("become a mean");
          }
        }
      }
    },
  );

  test.each(named)("[KN2] %s: the norm in place has the bits of plain code", (_, encoding) => {
    fc.assert(
      fc.property(anyLength, fc.integer(), (length, seed) => {
        const delta = encoded(encoding, vectorOf(length, seed), seed);
        const sum = simdSum(length);
        expect(normOf(inSlot(sum, delta))).toBe(plainNorm(delta));
        expect(normElsewhere(delta)).toBe(plainNorm(delta));
      }),
      { numRuns: 15 },
    );
    // More than there is scratch memory for, and no whole number of pieces, blocks or lanes.
    const large = encoded(encoding, vectorOf(150_003, 3));
    expect(normElsewhere(large) ?? plainNorm(large)).toBe(plainNorm(large));
  });

  test.each(named)(
    "[KN3] %s: sum and norm are those of the vector that the payload means",
    (_, encoding) => {
      fc.assert(
        fc.property(anyLength, fc.integer(), (length, seed) => {
          const delta = encoded(encoding, vectorOf(length, seed), seed);
          const vector = decodePayload(encoding, length, delta.payload);
          const sum = simdSum(length);
          sum.add(delta, 3);
          // A float32 of scale times number was rounded once, the kernel's term twice in float64.
          const isNear = (value: number, exact: number) =>
            Math.abs(value - exact) <= 2 ** -23.9 * Math.abs(exact);
          expect(sum.sum().every((value, i) => isNear(value, 3 * vector[i]!))).toBe(true);
          const norm = l2Norm(vector);
          expect(Math.abs(plainNorm(delta) - norm)).toBeLessThanOrEqual(2 ** -23.9 * norm);
        }),
        { numRuns: 15 },
      );
    },
  );

  test("[KN3] whole sums take whole numbers, ties to even, in the middle and at the end", () => {
    const ties = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49, -0.51];
    const wholes = [0, 2, 2, 0, -2, 0, -1];
    // Seven are as many as neither pairs, fours nor sixteens end with.
    for (const times of [1, 2, 5]) {
      const vector = Float32Array.from({ length: 7 * times }, (_, i) => ties[i % 7]!);
      const expected = Array.from(vector, (_, i) => wholes[i % 7]!);
      for (const open of [simdSum, createPlainSum]) {
        const sum = open(vector.length, { whole: true });
        sum.add(denseDelta(vector), 1);
        expect([...sum.sum()]).toEqual(expected);
        const numbers = open(vector.length, { whole: true });
        numbers.add(
          encoded(
            { kind: "int8" },
            vector.map((_, i) => (i % 7) + 121),
          ),
          0.5,
        );
        const halves = Array.from(vector, (_, i) => [60, 61, 62, 62, 62, 63, 64][i % 7]!);
        if (times > 1) expect([...numbers.sum()]).toEqual(halves);
      }
    }
  });

  test.each(named)(
    "[KN4] %s: of damaged bytes the kernel takes what the reference takes",
    (_, encoding) => {
      let refused = 0;
      const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
      fc.assert(
        fc.property(anyLength, fc.integer(), damage, (length, seed, changes) => {
          const delta = encoded(encoding, vectorOf(length, seed), seed);
          for (const [place, byte] of changes) {
            // The beginning is where a few bytes can do the most.
            const within =
              place % 3 === 0 ? Math.min(24, delta.payload.length) : delta.payload.length;
            delta.payload[place % within] = byte;
          }
          const sum = simdSum(length);
          const expected = outcomeOf(() => l2Norm(decodePayload(encoding, length, delta.payload)));
          if (typeof expected === "string") refused += 1;
          const measures = [
            () => normOf(delta),
            () => normOf(inSlot(sum, delta)),
            () => normElsewhere(delta) ?? Number.NaN,
          ];
          for (const measure of measures) {
            const outcome = outcomeOf(measure);
            if (typeof expected === "string") expect(outcome).toBe(expected);
            else
              expect(Math.abs(Number(outcome) - expected)).toBeLessThanOrEqual(2 ** -23 * expected);
          }
          // Whatever was measured or not: nothing beside the sum is written, and all of a delta or nothing.
          const before = createPlainSum(length);
          const summed = outcomeOf(() => (before.add(delta, 1), 0));
          const summedInSlot = outcomeOf(() => (sum.add(inSlot(sum, delta), 1), 0));
          if (
            "values" in encoding &&
            typeof expected === "string" &&
            expected !== "UPDATE_NOT_FINITE"
          ) {
            expect([...sum.sum()].every((value) => value === 0) || summedInSlot === 0).toBe(true);
          }
          if (summed === 0 && summedInSlot === 0) {
            expect(hasSameBits(sum.sum(), before.sum())).toBe(true);
          }
        }),
        { numRuns: 60 },
      );
      if (encoding.kind !== "float32") expect(refused).toBeGreaterThan(0);
    },
  );

  test("[KN4] what is not finite has no finite norm, on whatever place", () => {
    for (const length of [1, 9, 1_030]) {
      for (const bad of [Number.NaN, Infinity, -Infinity]) {
        for (let place = 0; place < length; place += Math.ceil(length / 7)) {
          const delta = denseDelta(new Float32Array(length).with(place, bad));
          expect(normOf(inSlot(simdSum(length), delta))).not.toBeLessThan(Infinity);
          expect(plainNorm(delta)).not.toBeLessThan(Infinity);
        }
      }
      const largest = denseDelta(new Float32Array(length).fill(3.4e38));
      expect(normOf(inSlot(simdSum(length), largest))).toBeLessThan(Infinity);
    }
  });

  test("[KN5] a payload of another length is refused before anything is touched", () => {
    for (const encoding of ENCODINGS) {
      const { payload, ...delta } = encoded(encoding, vectorOf(40, 1));
      for (const wrong of [
        payload.subarray(4),
        new Uint8Array(payload.length + 4),
        new Uint8Array(0),
      ]) {
        const sum = simdSum(40);
        expect(outcomeOf(() => normOf({ ...delta, payload: wrong }))).toBe("MALFORMED_MESSAGE");
        expect(outcomeOf(() => (sum.add({ ...delta, payload: wrong }, 1), 0))).toBe(
          "MALFORMED_MESSAGE",
        );
        expect(sum.sum()).toEqual(new Float64Array(40));
      }
    }
  });

  /** topK of float32: one index of 40, as these bytes of a gap say. */
  const sparse = (gaps: number[], gapBytes = gaps.length): EncodedDelta => {
    const payload = new Uint8Array(16);
    const view = new DataView(payload.buffer);
    view.setUint32(0, 1, true);
    view.setUint32(4, gapBytes, true);
    payload.set(gaps, 8);
    view.setFloat32(12, 2, true);
    const encoding = { kind: "topK", fraction: 0.02, values: "float32", feedback: false } as const;
    return { encoding, parameterCount: 40, payload };
  };

  test("[KN5] an index beyond the model, or told in another way than the shortest, adds nothing", () => {
    for (const [gaps, bytes] of [[[40]], [[255, 127]], [[133, 0]], [[5], 2], [[133]]] as const) {
      const delta = sparse([...gaps], bytes);
      for (const sum of [simdSum(40), createPlainSum(40)]) {
        const own = sum.slots.take(16) === undefined ? delta : inSlot(sum, delta);
        expect(outcomeOf(() => normOf(own))).toBe("MALFORMED_MESSAGE");
        expect(outcomeOf(() => (sum.add(own, 1), 0))).toBe("MALFORMED_MESSAGE");
        expect(sum.sum()).toEqual(new Float64Array(40));
      }
    }
    const sum = simdSum(40);
    sum.add(inSlot(sum, sparse([5])), 3);
    expect(sum.sum()).toEqual(new Float64Array(40).with(5, 6));
  });

  test("[KN4] of two faults the one is told that the decoder meets first", () => {
    const { payload, ...delta } = sparse([40]);
    new DataView(payload.buffer).setFloat32(12, Number.NaN, true);
    const sum = simdSum(40);
    for (const own of [{ ...delta, payload }, inSlot(sum, { ...delta, payload })]) {
      expect(outcomeOf(() => normOf(own))).toBe("MALFORMED_MESSAGE");
    }
    payload[8] = 39;
    expect(outcomeOf(() => normOf({ ...delta, payload }))).toBe("UPDATE_NOT_FINITE");
    expect(outcomeOf(() => normOf(inSlot(sum, { ...delta, payload })))).toBe("UPDATE_NOT_FINITE");
  });

  test("[KN1] deltas of several encodings are added in the order in which they came", () => {
    const length = 2_050;
    const mixed = [...ENCODINGS, ...ENCODINGS.toReversed()];
    const [simd, plain] = [simdSum(length), createPlainSum(length)];
    for (const [seed, encoding] of mixed.entries()) {
      const delta = encoded(encoding, vectorOf(length, seed), seed);
      plain.add(delta, 1 / (seed + 1));
      simd.add(inSlot(simd, delta), 1 / (seed + 1));
    }
    expect(hasSameBits(simd.sum(), plain.sum())).toBe(true);
  });

  test("[KN1] a sparse delta of several tiles is added as in plain code", () => {
    for (const encoding of ENCODINGS.filter((one) => "values" in one)) {
      const delta = encoded(encoding, vectorOf(30_011, 5), 5);
      const [simd, plain] = [
        simdSum(30_011, { whole: true }),
        createPlainSum(30_011, { whole: true }),
      ];
      for (const sum of [simd, plain]) sum.add(delta, 1.5);
      expect(hasSameBits(simd.sum(), plain.sum())).toBe(true);
      expect(normOf(inSlot(simd, delta))).toBe(plainNorm(delta));
    }
  });

  test("[KN8] masked updates are added modulo 2^32, with the bits of plain code", () => {
    const length = 1_003;
    const kernel = openKernel(8 * length + 64)!;
    const values = [1, 2, 3].map((seed) => {
      const bits = bitsFrom(seed)(new Uint16Array(2 * length));
      return new Uint32Array(bits.buffer);
    });
    const sum = new Uint32Array(kernel.memory, 0, length);
    const plain = new Uint32Array(length);
    for (const value of values) {
      new Uint32Array(kernel.memory, 4 * length, length).set(value);
      kernel.run.addModular(0, 4 * length, length);
      plainAddModular(plain, value);
    }
    expect(sum).toEqual(plain);
    const wrapped = values.reduce((total, value) => total + value[0]!, 0);
    expect(wrapped).toBeGreaterThan(2 ** 32);
    expect(sum[0]).toBe(wrapped % 2 ** 32);
  });
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array) =>
  Buffer.from(buffer, byteOffset, byteLength);
const hasSameBits = (a: Float64Array, b: Float64Array) => bytesOf(a).equals(bytesOf(b));

/** What comes of it, or the code that it is refused with; what is not finite as the reference says it. */
function outcomeOf(run: () => number): number | string {
  try {
    const value = run();
    return Number.isFinite(value) ? value : "UPDATE_NOT_FINITE";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
