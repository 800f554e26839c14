import { describe, expect, test } from "vitest";

import { createSecureRandom, uniformFrom } from "./random.ts";

const random = createSecureRandom();

describe("randomness", () => {
  test("[DP8] a source that hands out views of a pool gives its own uniforms", () => {
    const pool = new Uint8Array(4_096);
    pool.set(random.bytes(64), 100);
    const pooled = { bytes: (count: number) => pool.subarray(100, 100 + count) };
    const copied = { bytes: (count: number) => pool.slice(100, 100 + count) };
    expect(uniformFrom(pooled).next()).toBe(uniformFrom(copied).next());
  });

  test("[DP8] no two instances, and no two calls, give the same bytes", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const fresh = createSecureRandom();
      for (let k = 0; k < 4; k++) seen.add(Buffer.from(fresh.bytes(16)).toString("hex"));
    }
    expect(seen.size).toBe(200);
  });

  test("[DP8] bytes and uniforms are uniform, also across chunks", () => {
    const counts = new Array<number>(256).fill(0);
    for (const byte of random.bytes(1_000_003)) counts[byte]! += 1;
    const expected = 1_000_003 / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: 99.9999 % of such sums lie between
    expect(chiSquare).toBeGreaterThan(155);
    expect(chiSquare).toBeLessThan(381);
    const uniform = uniformFrom(random);
    const samples = Array.from({ length: 50_000 }, () => uniform.next());
    expect(Math.min(...samples)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...samples)).toBeLessThan(1);
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4.5 / Math.sqrt(12 * samples.length));
  });
});
