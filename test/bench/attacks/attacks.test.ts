import { loadMnist } from "@tributary/example-digits";
import { describe, expect, test } from "vitest";

import type { ArenaSettings, Defence } from "./arena.ts";
import { playAttack, populationOf } from "./arena.ts";
import { alieZ, ATTACKS, normalQuantile } from "./attacks.ts";

const settings: ArenaSettings = {
  ...{ seed: 3, cohort: 10, liars: 2, rounds: 3 },
  ...{ epochs: 1, batchSize: 10, learningRate: 0.1, judged: 400 },
};
const attackOf = (name: string) => ATTACKS.find((attack) => attack.name === name)!;

describe("the attack benchmark", () => {
  test("[RA15] a sample of it on real digits: what breaks the mean does not break robust rules", async () => {
    const mnist = await loadMnist();
    // A hundred digits each, as they come: needs no file that is not a package.
    const clients = Array.from({ length: 50 }, (_client, i) =>
      Array.from({ length: 100 }, (_digit, j) => 100 * i + j),
    );
    const population = { liars: clients.slice(0, 10), honest: clients.slice(10) };
    const accuracy = (aggregation: Defence["aggregation"], attack: string) =>
      playAttack(mnist, population, attackOf(attack), { name: "", aggregation }, settings);
    const honest = accuracy({ kind: "mean" }, "none");
    expect(honest).toBeGreaterThan(0.4);
    expect(accuracy({ kind: "mean" }, "scaled")).toBeLessThan(honest - 0.2);
    for (const rule of [
      { kind: "geometricMedian", iterations: 8, smoothing: 1e-6 },
      { kind: "normBounding", factor: 1 },
      { kind: "krum", byzantine: 2, select: 6 },
    ] as const) {
      expect(accuracy(rule, "scaled"), rule.kind).toBeGreaterThan(honest - 0.15);
    }
  });

  test("[RA15] a client's digits are of one writer, or of two shards where nobody knows who wrote them", async () => {
    const { train } = await loadMnist();
    const writers = Uint16Array.from({ length: train.count }, (_, i) => i % 30);
    const known = populationOf(train, writers, 0.2, 1);
    expect([known.honest.length, known.liars.length]).toEqual([24, 6]);
    for (const client of known.honest) {
      expect(new Set(client.map((image) => writers[image])).size).toBe(1);
    }
    const unknown = populationOf(train, undefined, 0.2, 1);
    expect([unknown.honest.length, unknown.liars.length]).toEqual([400, 100]);
    const all = [...unknown.honest, ...unknown.liars].flat();
    expect(new Set(all).size).toBe(60_000);
    for (const client of unknown.liars) {
      expect(new Set(client.map((image) => train.labels[image])).size).toBeLessThanOrEqual(4);
    }
  });

  test("[RA15] lies are what they are said to be", () => {
    const honest = [1, 2, 3, 4].map((value) => Float32Array.of(value, -value));
    const own = Float32Array.of(1, 2);
    const lie = (name: string) => [...attackOf(name).lie(own, honest, 6)];
    expect(lie("sign flip")).toEqual([-1, -2]);
    expect(lie("scaled")).toEqual([10, 20]);
    const deviation = Math.sqrt(1.25);
    expect(lie("ALIE, z 1.5")[0]).toBeCloseTo(2.5 - 1.5 * deviation, 5);
    expect(lie("ALIE, z 1.5")[1]).toBeCloseTo(-2.5 - 1.5 * deviation, 5);
    expect(attackOf("label flip").labelOf(3)).toBe(6);
    // Of 50, 12 of them liars: s = 14, (38 - 14) / 38; scipy.stats.norm.ppf gives 0.33603814.
    expect(alieZ(50, 12)).toBeCloseTo(0.3360381, 6);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959_963_985, 8);
  });
});
