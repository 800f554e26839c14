import fc from "fast-check";
import { expect, test } from "vitest";

import { createLayout } from "./layout.ts";
import type { ServingEncoding } from "./serving-copy.ts";
import {
  decodeServingCopy,
  encodeServingCopy,
  isServingCopy,
  SERVING_ENCODINGS,
  servingCopyBytes,
} from "./serving-copy.ts";

const layoutOf = (count: number) => createLayout([{ name: "w", shape: [count] }]);

async function copyOf(weights: Float32Array, encoding: ServingEncoding, step = 1024) {
  const layout = await layoutOf(weights.length);
  const work = encodeServingCopy(layout, { modelVersion: 7, weights }, encoding);
  for (let at = 0; at < work.length; at += step) work.run(at, Math.min(work.length, at + step));
  return { layout, bytes: work.bytes };
}

async function roundTrip(weights: Float32Array, encoding: ServingEncoding, step?: number) {
  const { layout, bytes } = await copyOf(weights, encoding, step);
  expect(bytes).toHaveLength(servingCopyBytes(encoding, weights.length));
  expect(isServingCopy(bytes)).toBe(true);
  // From any place in memory.
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  const decoded = decodeServingCopy(layout, shifted.subarray(1));
  expect(decoded).toMatchObject({ encoding, modelVersion: 7 });
  decoded.weights.run(0, decoded.weights.length);
  return new Float32Array(decoded.weights.bytes.buffer);
}

const finite = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: -2, max: 2, noNaN: true }),
  fc.constantFrom(
    0,
    -0,
    1e-45,
    -1e-45,
    1.1754942e-38,
    3.4028234663852886e38,
    -3.4028234663852886e38,
  ),
);
const vector = fc
  .array(finite, { minLength: 1, maxLength: 40 })
  .chain((some) => fc.integer({ min: 1, max: 2200 }).map((length) => ({ some, length })))
  .map(({ some, length }) => Float32Array.from({ length }, (_, i) => some[i % some.length]!));

test("[DW10] bfloat16: the nearest upper half, ties to even, never infinite; such values come back as they were", async () => {
  await fc.assert(
    fc.asyncProperty(vector, fc.constantFrom(1024, 2048), async (weights, step) => {
      const back = await roundTrip(weights, "bfloat16", step);
      const words = new Uint32Array(back.buffer);
      const isNearest = (value: number, i: number) => {
        const got = back[i]!;
        const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value) || 1)));
        // Half a unit in the last of eight places; a whole one where the next would be infinite.
        const largest = Math.abs(value) > 3.3895e38;
        const apart = Math.abs(got - value);
        return (words[i]! & 0xffff) === 0 && apart <= 2 ** (exponent - (largest ? 7 : 8));
      };
      expect(weights.findIndex((value, i) => !isNearest(value, i))).toBe(-1);
      expect(new Uint32Array((await roundTrip(back, "bfloat16")).buffer)).toEqual(words);
    }),
    { numRuns: 40 },
  );
  // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 * 2^-8 between that and 1 + 2^-6.
  const ties = await roundTrip(Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -0), "bfloat16");
  expect([...ties]).toEqual([1, 1 + 2 ** -6, -0]);
});

test("[DW10] int8: the nearest whole multiple of a scale for each 1 024 weights", async () => {
  await fc.assert(
    fc.asyncProperty(vector, async (weights) => {
      const back = await roundTrip(weights, "int8");
      for (let start = 0; start < weights.length; start += 1024) {
        const block = weights.subarray(start, start + 1024);
        const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const scale = largest / 127 + 2 ** -149;
        const far = (value: number, i: number) =>
          !(Math.abs(back[start + i]! - value) <= scale * 0.50001);
        expect(block.findIndex(far)).toBe(-1);
      }
    }),
    { numRuns: 40 },
  );
  const zeros = await roundTrip(new Float32Array(1025), "int8");
  expect(zeros.every((value) => Object.is(value, 0))).toBe(true);
});

test("[DW10] the same weights make the same bytes, in pieces of any size; what is not finite makes none", async () => {
  const weights = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i * i));
  for (const encoding of SERVING_ENCODINGS) {
    const { bytes, layout } = await copyOf(weights, encoding);
    expect((await copyOf(weights.slice(), encoding, 4096)).bytes).toEqual(bytes);
    for (const odd of [Number.NaN, Infinity, -Infinity]) {
      const broken = weights.with(4999, odd);
      const work = encodeServingCopy(layout, { modelVersion: 1, weights: broken }, encoding);
      expect(() => work.run(0, 5000)).toThrow(
        expect.objectContaining({ code: "CHECKPOINT_CORRUPT" }) as Error,
      );
    }
    expect(() =>
      encodeServingCopy(layout, { modelVersion: 1, weights: new Float32Array(3) }, encoding),
    ).toThrow(expect.objectContaining({ code: "UPDATE_LAYOUT_MISMATCH" }) as Error);
  }
});

test("[DW10] what is no whole copy of this layout is refused with a code", async () => {
  for (const encoding of SERVING_ENCODINGS) {
    const { bytes, layout } = await copyOf(new Float32Array(1500).fill(0.5), encoding);
    const refused = (damaged: Uint8Array) => {
      try {
        decodeServingCopy(layout, damaged);
        return undefined;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    // Every byte of the header but those of the version number.
    for (let at = 0; at < 64; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1;
      const code = refused(damaged);
      if (at >= 12 && at < 16) expect(code).toBeUndefined();
      else expect(["MALFORMED_MESSAGE", "UPDATE_LAYOUT_MISMATCH"], `byte ${at}`).toContain(code);
    }
    for (const length of [0, 63, 64, bytes.length - 1]) {
      expect(refused(bytes.subarray(0, length))).toBe("MALFORMED_MESSAGE");
    }
    expect(refused(Uint8Array.of(...bytes, 0))).toBe("MALFORMED_MESSAGE");
  }
});

test("[DW10] a copy of anything but numbers is refused while it is read", async () => {
  const refused = expect.objectContaining({ code: "CHECKPOINT_CORRUPT" }) as Error;
  const weights = new Float32Array(1500).fill(0.5);
  const halves = await copyOf(weights, "bfloat16");
  new DataView(halves.bytes.buffer).setUint16(64 + 2 * 1499, 0x7fc0, true);
  const quantised = await copyOf(weights, "int8");
  // The scale of the second 1 024.
  new DataView(quantised.bytes.buffer).setFloat32(68, Infinity, true);
  for (const { bytes, layout } of [halves, quantised]) {
    const { weights: work } = decodeServingCopy(layout, bytes);
    work.run(0, 1024);
    expect(() => work.run(1024, 1500)).toThrow(refused);
  }
});
