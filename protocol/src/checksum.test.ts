import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { checksumOf, createChecksum } from "./checksum.ts";

const { vectors } = JSON.parse(
  readFileSync(new URL("../../test/vectors/checksum.json", import.meta.url), "utf8"),
) as { vectors: readonly { readonly bytes: number; readonly checksum: string }[] };

const bodyOf = (length: number) =>
  Uint8Array.from({ length }, (_, i) => (7 * i * i + 13 * i + length) % 256);

describe("a checksum", () => {
  test.each(vectors)(
    "[IG1] of $bytes bytes is what its definition says, computed elsewhere",
    ({ bytes, checksum }) => {
      expect(checksumOf(bodyOf(bytes))).toBe(checksum);
    },
  );

  test("[IG1] is the same however the bytes are cut, and of many at the same time", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.array(fc.nat(600), { maxLength: 8 }),
        (bytes, cuts) => {
          const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
          const [one, other] = [createChecksum(), createChecksum()];
          for (let i = 1; i < edges.length; i++) {
            const piece = bytes.subarray(edges[i - 1], Math.max(edges[i - 1]!, edges[i]!));
            one.update(piece);
            other.update(piece.map((byte) => byte ^ 1));
          }
          expect(one.digest()).toBe(checksumOf(bytes));
          expect(other.digest()).toBe(checksumOf(bytes.map((byte) => byte ^ 1)));
        },
      ),
    );
  });

  test("[IG1] does not need whole words in memory, and takes large bodies", () => {
    const memory = bodyOf(300_007);
    for (const from of [0, 1, 2, 3]) {
      expect(checksumOf(memory.subarray(from))).toBe(checksumOf(memory.slice(from)));
    }
  });

  test("[IG2] of bytes with any one bit flipped, cut, longer by zeros or in another order is another one", () => {
    const bytes = bodyOf(700);
    const seen = new Set([checksumOf(bytes)]);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      seen.add(checksumOf(damaged));
    }
    for (let length = 0; length < bytes.length; length++)
      seen.add(checksumOf(bytes.slice(0, length)));
    for (let zeros = 1; zeros < 300; zeros++) {
      const longer = new Uint8Array(bytes.length + zeros);
      longer.set(bytes);
      seen.add(checksumOf(longer));
    }
    expect(seen.size).toBe(1 + 8 * 700 + 700 + 299);
  });

  test("[IG2] tells vectors apart that differ as damaged numbers do: signs, swaps, shifts", () => {
    const vector = new Float32Array(4096).map((_, i) => Math.sin(i) / (i + 1));
    const changed = [
      vector,
      vector.map((value) => -value),
      vector.toReversed(),
      vector.map((_, i) => vector[(i + 1) % 4096]!),
      vector.map((_, i) => vector[(i + 32) % 4096]!),
      vector.map((value, i) => (i === 5 || i === 5 + 32 ? -value : value)),
      vector.map((value, i) => (i === 5 || i === 5 + 64 ? -value : value)),
      vector.map((_, i) => vector[i ^ 1]!),
      vector.map((_, i) => vector[i ^ 32]!),
      new Float32Array(4096),
      new Float32Array(4096).fill(-0),
    ];
    const sums = changed.map((one) => checksumOf(new Uint8Array(one.buffer)));
    expect(new Set(sums).size).toBe(changed.length);
  });

  test("[IG2] tells apart any two changes of two words of one lane, which cancel in no simple sum", () => {
    const seen = new Set<string>();
    for (let first = 0; first < 32; first++) {
      for (let second = 0; second < 32; second++) {
        const words = new Uint32Array(96);
        words[7] = 2 ** first;
        words[7 + 32] = 2 ** second;
        seen.add(checksumOf(new Uint8Array(words.buffer)));
      }
    }
    expect(seen.size).toBe(32 * 32);
  });
});
