import fc from "fast-check";
import { expect, test } from "vitest";

import type { PartitionSpec } from "./partition.ts";
import { partitionByWriter, partitionImages } from "./partition.ts";
import { createSeededRandom } from "./random.ts";

const labels = Uint8Array.from({ length: 6000 }, (_, i) => (i * 7) % 10);
const digitsOf = (indices: Uint32Array) => new Set([...indices].map((index) => labels[index]));

const anySpec: fc.Arbitrary<PartitionSpec> = fc.oneof(
  fc.constant({ kind: "iid" as const }),
  fc
    .integer({ min: 1, max: 4 })
    .map((shardsPerClient) => ({ kind: "shards" as const, shardsPerClient })),
  fc
    .double({ min: 0.01, max: 100, noNaN: true })
    .map((alpha) => ({ kind: "dirichlet" as const, alpha })),
);

test("[EX3] every image goes to exactly one client, every client has one, and a seed repeats it", () => {
  fc.assert(
    fc.property(anySpec, fc.integer({ min: 1, max: 120 }), fc.nat(), (spec, clients, seed) => {
      const partition = partitionImages(labels, clients, spec, createSeededRandom(seed));
      expect(partition.length).toBe(clients);
      expect(partition.every((indices) => indices.length > 0)).toBe(true);
      const all = partition.flatMap((indices) => [...indices]).sort((a, b) => a - b);
      expect(all).toEqual([...labels.keys()]);
      expect(partitionImages(labels, clients, spec, createSeededRandom(seed))).toEqual(partition);
    }),
    { numRuns: 40 },
  );
});

test("[EX4] IID clients see every digit, shard clients at most a few, a small alpha skews", () => {
  const deal = (spec: PartitionSpec) => partitionImages(labels, 50, spec, createSeededRandom(1));
  const meanDigits = (spec: PartitionSpec) =>
    deal(spec).reduce((sum, indices) => sum + digitsOf(indices).size, 0) / 50;
  expect(meanDigits({ kind: "iid" })).toBe(10);
  const shards = deal({ kind: "shards", shardsPerClient: 2 });
  expect(shards.every((indices) => indices.length === 120 && digitsOf(indices).size <= 2)).toBe(
    true,
  );
  expect(meanDigits({ kind: "dirichlet", alpha: 0.05 })).toBeLessThan(4);
  expect(meanDigits({ kind: "dirichlet", alpha: 100 })).toBeGreaterThan(9.5);
});

test("[EX4] another seed deals otherwise", () => {
  const deal = (seed: number) =>
    partitionImages(labels, 10, { kind: "iid" }, createSeededRandom(seed));
  expect(deal(1)).not.toEqual(deal(2));
});

test("[EX4] what cannot be dealt is refused", () => {
  const random = createSeededRandom(1);
  expect(() => partitionImages(labels, 6001, { kind: "iid" }, random)).toThrow(
    "6000 images to 6001",
  );
  expect(() =>
    partitionImages(labels, 100, { kind: "shards", shardsPerClient: 61 }, random),
  ).toThrow("100 x 61 shards");
  expect(() => partitionImages(labels, 10, { kind: "dirichlet", alpha: 0 }, random)).toThrow(
    "above 0",
  );
});

test("[EX4] by writer, each client holds one writer's images", () => {
  const partition = partitionByWriter(Uint16Array.of(7, 3, 7, 9, 3));
  expect(partition.map((indices) => [...indices])).toEqual([[0, 2], [1, 4], [3]]);
});

test("[EX3] gamma draws have mean and variance alpha", () => {
  for (const alpha of [0.3, 2.5]) {
    const random = createSeededRandom(5);
    const draws = Array.from({ length: 40_000 }, () => random.gamma(alpha));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
    expect(mean / alpha).toBeCloseTo(1, 1);
    expect(variance / alpha).toBeCloseTo(1, 1);
  }
});
