import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { compileKernels } from "../../../kernels.mjs";
import { createIntegerNoise } from "../integer-noise.ts";
import { createSecureRandom } from "../random.ts";
import { BATCH, cosineOf, createPlainKernel, logOf, pairOf, sineOf } from "./gaussian.ts";
import type { GaussianKernel } from "./gaussian.ts";
import { openKernel, openSimdKernel } from "./open-kernel.ts";

interface Vector {
  readonly words: [number, number, number, number];
  /** High and low part, in standard deviations. */
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly radius: number;
}

const { vectors } = JSON.parse(
  readFileSync(new URL("../../../../test/vectors/box_muller.json", import.meta.url), "utf8"),
) as { vectors: readonly Vector[] };

const random = createSecureRandom();

function simd(): GaussianKernel {
  const kernel = openSimdKernel();
  if (kernel === undefined) throw new Error("this engine has no SIMD");
  return kernel;
}

/** One batch of noise on `start`, from these random bytes. */
function batchOf(kernel: GaussianKernel, bytes: Uint8Array, start: Float64Array, stddev: number) {
  kernel.random.set(bytes);
  kernel.sums.set(start);
  const fine = kernel.add(start.length, stddev);
  return { fine, sums: kernel.sums.slice(0, start.length) };
}

/** As the kernel reads them: of two pairs the high words side by side, then the low words. */
function bytesOf(words: readonly (readonly number[])[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(16 * words.length));
  words.forEach((four, pair) => {
    four.forEach((word, i) => {
      bytes.setUint32(32 * Math.floor(pair / 2) + 8 * i + 4 * (pair % 2), word, true);
    });
  });
  return new Uint8Array(bytes.buffer);
}

describe("the Gaussian kernel", () => {
  test("[NS1] both values of a pair are those of 60-digit arithmetic within the bound that is claimed, to 10.2 deviations", () => {
    let farthest = 0;
    for (const { words, x, y, radius } of vectors) {
      const pair = pairOf(-2, words);
      for (const [i, [high, low]] of [x, y].entries()) {
        // Sterbenz: the difference of neighbours is exact.
        const error = Math.abs(pair[i]! - high - low);
        const bound = 2 ** -50 * radius + Math.min(2 ** -54 / radius, 2 ** -26);
        expect(error, `words ${words.join(" ")}`).toBeLessThanOrEqual(bound);
        farthest = Math.max(farthest, Math.abs(high));
      }
    }
    expect(vectors.length).toBeGreaterThan(600);
    expect(farthest).toBeGreaterThan(10.2);
  });

  test("[NS1] logarithm, sine and cosine are those of Math, within the roundings of both", () => {
    const uniform = () => random.bytes(8).reduce((sum, byte) => (sum + byte) / 256, 0);
    for (let i = 0; i < 20_000; i++) {
      const u = Math.max(2 ** -76, uniform() ** (1 + 40 * uniform()));
      expect(Math.abs(logOf(u) - Math.log(u))).toBeLessThanOrEqual(2 ** -51 * -Math.log(u));
      const t = 2 * uniform() - 1;
      expect(Math.abs(sineOf(t) - Math.sin((Math.PI * t) / 4))).toBeLessThan(2 ** -51);
      expect(Math.abs(cosineOf(t) - Math.cos((Math.PI * t) / 4))).toBeLessThan(2 ** -51);
    }
    expect(logOf(1)).toBe(0);
  });

  test("[NS2] SIMD gives the same bits as plain code, at the ends of the words' range too", () => {
    const plain = createPlainKernel();
    const wide = simd();
    const edges = bytesOf(vectors.map(({ words }) => words).slice(0, 604));
    for (const stddev of [1e-3, 0.7, 10, 2 ** 20 * 1.37, 2 ** 40]) {
      const start = new Float64Array(1_208).fill(-12_345);
      expect(batchOf(wide, edges, start, stddev)).toEqual(batchOf(plain, edges, start, stddev));
    }
    for (let i = 0; i < 30; i++) {
      const bytes = random.bytes(8 * BATCH);
      const start = Float64Array.from({ length: BATCH }, (_, at) => at * (i - 15) * 1e9);
      const stddev = 2 ** (i - 2) * 1.23;
      const [a, b] = [wide, plain].map((kernel) => batchOf(kernel, bytes, start, stddev));
      // Object.is: no -0 either.
      expect(a!.sums.every((value, at) => Object.is(value, b!.sums[at]))).toBe(true);
      expect(a!.fine && b!.fine).toBe(true);
    }
  });

  test("[NS2] its bytes are what its source compiles to", { timeout: 60_000 }, async () => {
    for (const { file, text } of await compileKernels("src/privacy/")) {
      expect(readFileSync(file, "utf8"), "run npm run kernels").toBe(text);
    }
  });

  test("[NS2] without SIMD, WebAssembly or leave to compile, plain code does the same", async () => {
    expect(openKernel().name).toBe("simd");
    const { Module, Instance } = WebAssembly;
    expect(openSimdKernel({})).toBeUndefined();
    expect(openSimdKernel({ validate: () => false, Module, Instance })).toBeUndefined();
    const forbidden = new Proxy(Module, {
      construct: () => {
        throw new Error("code generation is disallowed");
      },
    });
    expect(openSimdKernel({ validate: () => true, Module: forbidden, Instance })).toBeUndefined();
    // The same randomness on both paths: the same noise.
    const bytes = random.bytes(8 * BATCH * 3);
    const sums = await Promise.all(
      [createPlainKernel(), simd()].map(async (kernel) => {
        let at = 0;
        const fill = (target: Uint8Array) => {
          target.set(bytes.subarray(at, (at += target.length)));
        };
        const sum = new Float64Array(2 * BATCH + 13);
        await createIntegerNoise({ fill }, undefined, kernel).add(sum, 2 ** 20);
        return sum;
      }),
    );
    expect(sums[0]).toEqual(sums[1]);
  });

  test("[NS3] every residue comes out equally often, and the last bit says nothing", () => {
    const kernel = simd();
    const counts = new Array<number>(1_024).fill(0);
    const batches = 128;
    for (let i = 0; i < batches; i++) {
      const { sums } = batchOf(kernel, random.bytes(8 * BATCH), new Float64Array(BATCH), 2 ** 20);
      for (const value of sums) counts[((value % 1_024) + 1_024) % 1_024]! += 1;
    }
    const n = batches * BATCH;
    const chiSquare =
      counts.reduce((sum, count) => sum + (count - n / 1_024) ** 2, 0) / (n / 1_024);
    // 1023 degrees of freedom, 5.5 standard deviations.
    expect(Math.abs(chiSquare - 1_023)).toBeLessThan(5.5 * Math.sqrt(2 * 1_023));
    const odd = counts.filter((_, residue) => residue % 2 === 1).reduce((a, b) => a + b);
    expect(Math.abs(odd - n / 2)).toBeLessThan(5.5 * Math.sqrt(n / 4));
  });

  test("[NS3] no sum is -0: its sign would tell that of the sum before noise", () => {
    for (const kernel of [simd(), createPlainKernel()]) {
      const start = new Float64Array(BATCH).fill(-0);
      const { sums } = batchOf(kernel, random.bytes(8 * BATCH), start, 0.3);
      expect(sums.filter((value) => value === 0).length).toBeGreaterThan(BATCH / 2);
      expect(sums.some((value) => Object.is(value, -0))).toBe(false);
    }
  });

  test("[NS3] a sum that is not exact any more is told", () => {
    for (const kernel of [simd(), createPlainKernel()]) {
      for (const bad of [Number.NaN, Infinity, 2 ** 53, 0.5]) {
        for (const at of [0, 3, 6, 15]) {
          const start = new Float64Array(16);
          start[at] = bad;
          expect(batchOf(kernel, random.bytes(128), start, 0.01).fine, `${bad} at ${at}`).toBe(
            false,
          );
        }
      }
      expect(batchOf(kernel, random.bytes(128), new Float64Array(16), 0.01).fine).toBe(true);
    }
  });

  test("[NS6] random bytes are wiped when they have been used", () => {
    for (const kernel of [simd(), createPlainKernel()]) {
      batchOf(kernel, random.bytes(8 * BATCH), new Float64Array(BATCH), 2 ** 20);
      expect(kernel.random.every((byte) => byte === 0)).toBe(true);
    }
  });
});
