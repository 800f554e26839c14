import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Exchange } from "./network.ts";
import { batcherNetwork, middleNetwork } from "./network.ts";

function run(network: readonly Exchange[], values: readonly number[]): number[] {
  const out = [...values];
  for (const [a, b] of network) {
    const [x, y] = [out[a]!, out[b]!];
    [out[a], out[b]] = x > y ? [y, x] : [x, y];
  }
  return out;
}

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

describe("sorting networks", () => {
  test("[RA3] sort every sequence of zeros and ones, and so every sequence (Knuth, 5.3.4)", () => {
    for (let rows = 1; rows <= 11; rows++) {
      const network = batcherNetwork(rows);
      for (let bits = 0; bits < 2 ** rows; bits++) {
        const values = Array.from({ length: rows }, (_, i) => (bits >> i) & 1);
        expect(run(network, values)).toEqual(ascending(values));
      }
    }
  });

  test("[RA3] what is left of one for the ranks in the middle brings just these there", () => {
    for (let rows = 2; rows <= 10; rows++) {
      for (let trim = 0; 2 * trim < rows; trim++) {
        const network = middleNetwork(rows, trim);
        for (let bits = 0; bits < 2 ** rows; bits++) {
          const values = Array.from({ length: rows }, (_, i) => (bits >> i) & 1);
          const middle = (all: number[]) => ascending(all.slice(trim, rows - trim));
          expect(middle(run(network, values))).toEqual(middle(ascending(values)));
        }
      }
    }
  });

  test("[RA3] that also holds for as many rows as rounds have, with fewer exchanges", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 12, max: 300 }),
        fc.infiniteStream(fc.double()),
        (rows, all) => {
          const values = [...all.take(rows)].map((value) => (Number.isNaN(value) ? 0 : value));
          const trim = Math.floor((rows - 1) / 2);
          const network = middleNetwork(rows, trim);
          expect(network.length).toBeLessThan(batcherNetwork(rows).length);
          const middle = (sorted: number[]) => ascending(sorted.slice(trim, rows - trim));
          expect(middle(run(network, values)).map((v) => v + 0)).toEqual(
            middle(ascending(values)).map((v) => v + 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});
