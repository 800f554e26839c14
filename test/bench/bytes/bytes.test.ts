import { readFile } from "node:fs/promises";

import type { Encoding } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { BytesCase, BytesSettings } from "./cases.ts";
import { BYTES_CASES, DEFAULT_SETTINGS, GOALS } from "./cases.ts";
import type { BytesReport } from "./report.ts";
import { bestFor, comparable, curveOf, renderBytes, withMore } from "./report.ts";
import type { BytesResult } from "./run-case.ts";
import { runBytesCase } from "./run-case.ts";

const resultOf = (name: string, bytes: number, accuracy: number, seed = 1): BytesResult => ({
  ...{ name, seed, bytes, accuracy, accuracies: [accuracy], brotliBytes: bytes / 2, brotliMs: 1 },
  ...{ backend: "wasm", seconds: 1 },
});
const reportOf = (results: readonly BytesResult[]): BytesReport => ({
  ...{ date: "2026-01-01T00:00:00.000Z", command: "npm run bench:bytes", results },
  settings: DEFAULT_SETTINGS,
  machine: { cpu: "c", cores: 2, memoryGb: 4, os: "o", node: "v20", loadBefore: 0 },
});

const forget = ({ encoding }: BytesCase): Encoding =>
  ({ ...encoding, feedback: false }) as Encoding;

describe("the curve of bytes against accuracy", () => {
  test("[EC12] real digits learn the same with fewer bytes, in a small run", async () => {
    const small: BytesSettings = {
      ...DEFAULT_SETTINGS,
      ...{ model: "mlp" as const, clients: 4, cohort: 3, examples: 200 },
      ...{ rounds: 4, lastRounds: 1, testImages: 1000 },
    };
    const caseOf = (name: string) => BYTES_CASES.find((each) => each.name === name)!;
    const topKCase = caseOf("topK 10 % int8");
    const whole = await runBytesCase(caseOf("float32"), 1, small);
    const [int8, topK] = [
      await runBytesCase(caseOf("int8"), 1, small),
      await runBytesCase(topKCase, 1, small),
    ];
    expect(whole.accuracy).toBeGreaterThan(0.6);
    // Of 1 000 images one point is ten: what is lost here says that nothing is broken, and no more.
    expect(int8.accuracy).toBeGreaterThan(whole.accuracy - 0.03);
    expect(topK.accuracy).toBeGreaterThan(whole.accuracy - 0.1);
    expect(int8.bytes / whole.bytes).toBeCloseTo(0.251, 2);
    expect(topK.bytes / whole.bytes).toBeLessThan(1 / 16);
    // What is left out comes later, and that shows.
    const forgetful = { name: "forgetful", encoding: forget(topKCase) };
    expect((await runBytesCase(forgetful, 1, small)).accuracies).not.toEqual(topK.accuracies);
    // The same seeds again: the same model.
    expect((await runBytesCase(caseOf("int8"), 1, small)).accuracies).toEqual(int8.accuracies);
    // Another one: another model.
    expect((await runBytesCase(caseOf("int8"), 2, small)).accuracies).not.toEqual(int8.accuracies);
  });

  test("[EC12] goals are met by the most accurate encoding that is small enough, or missed", () => {
    const curve = curveOf([
      resultOf("float32", 1000, 0.98),
      resultOf("int8", 250, 0.98),
      resultOf("a", 100, 0.9785),
      resultOf("b", 50, 0.979),
      resultOf("c", 20, 0.95),
    ]);
    expect(bestFor(curve, GOALS[0]!)?.name).toBe("b");
    expect(bestFor(curve, GOALS[1]!)).toBeUndefined();
    expect(() => curveOf([resultOf("int8", 1, 1)])).toThrow("float32 was not run for seed 1");
  });

  test("[EC12] points are lost against float32 of the same seed, and goals are met in the mean of seeds", () => {
    const results = [
      ...[resultOf("float32", 1000, 0.98), resultOf("float32", 1000, 0.96, 2)],
      // Better than float32 of the other seed, and worse than that of its own by 0.1 and 0.3 points.
      ...[resultOf("a", 100, 0.979), resultOf("a", 120, 0.957, 2)],
      ...[resultOf("b", 100, 0.97), resultOf("b", 100, 0.968, 2)],
      // One lucky seed is no match for two.
      resultOf("lucky", 10, 0.99, 2),
    ];
    const curve = curveOf(results);
    const [, a, b, lucky] = curve;
    expect(a).toMatchObject({ seeds: [1, 2], bytes: 110 });
    expect(a?.share).toBeCloseTo(0.11, 12);
    expect(a?.accuracy.mean).toBeCloseTo(0.968, 12);
    expect([a?.accuracy.min, a?.accuracy.max]).toEqual([0.957, 0.979]);
    const { mean, min, max } = a!.pointsLost;
    for (const [value, wanted] of [
      ...[[mean, 0.2] as const, [min, 0.1] as const, [max, 0.3] as const],
      ...[[b!.pointsLost.mean, 0.1] as const, [b!.pointsLost.min, -0.8] as const],
      ...[[b!.pointsLost.max, 1] as const, [lucky!.pointsLost.mean, -3] as const],
    ]) {
      expect(value).toBeCloseTo(wanted, 9);
    }
    expect(bestFor(curve, { share: 1 / 8, points: 0.21 })?.name).toBe("b");
    expect(bestFor(curve, { share: 1 / 8, points: 0.15 })?.name).toBe("b");
    expect(bestFor(curve, { share: 1 / 8, points: 0.05 })?.name).toBe("lucky");
    const text = renderBytes(reportOf(results));
    expect(text).toContain(
      "| a | 1, 2 | 110 | 1/9.1 | 96.80 % (95.70 to 97.90) | 0.20 (0.10 to 0.30) |",
    );
    expect(text).toContain("| lucky | **2 only** | 10 | 1/100.0 | 99.00 % | -3.00 |");
    expect(text).toContain(
      "b sends 1/10.0 and loses 0.10 (-0.80 to 1.00) points, in the mean of seeds 1, 2",
    );
    expect(text).toContain("lucky sends 1/100.0 and loses -3.00 points, by one seed only");
  });

  test("[EC12] a report tells machine, settings, goals, and what was not run", () => {
    const text = renderBytes(
      reportOf([resultOf("float32", 6_653_548, 0.98), resultOf("topK 1 % int8", 34_112, 0.975)]),
    );
    expect(text).toContain(
      "| topK 1 % int8 | **1 only** | 34 112 | 1/195.1 | 97.50 % | 0.50 | 50 % | 1 |",
    );
    expect(text).toContain("**missed**: at most 1/8 of the bytes");
    expect(text).toContain(
      "met: at most 1/32 of the bytes at no more than 1 points lost: topK 1 %",
    );
    expect(text).toContain(
      "Not run, as the command was ended before: randomK 10 % int8, no feedback;",
    );
    expect(text).toContain("Machine: c, 2 cores");
  });

  test("[EC12] a run that was ended early is gone on with, in cases and in seeds, by the same training alone", () => {
    const kept = reportOf([resultOf("float32", 1000, 0.98), resultOf("int8", 250, 0.98)]);
    const more = {
      ...reportOf([
        ...[resultOf("float32", 1000, 0.98, 2), resultOf("int8", 250, 0.98, 2)],
        ...[resultOf("topK 10 % int8", 50, 0.979), resultOf("bfloat16", 500, 0.98)],
      ]),
      command: "npm run bench:bytes -- --continue",
    };
    const whole = withMore(kept, more);
    expect(whole.results.map(({ name, seed }) => `${name} ${seed}`)).toEqual([
      ...["float32 1", "float32 2", "topK 10 % int8 1", "int8 1", "int8 2", "bfloat16 1"],
    ]);
    const text = renderBytes(whole);
    expect(text).toContain(
      "- Added: seed 1 (topK 10 % int8; bfloat16), seed 2 (float32; int8): 2026-01-01T00:00:00.000Z, `npm run",
    );
    expect(text).toContain("one epoch; seeds 1, 2, each the same for every encoding");
    expect(text).toContain(
      "Not run, as the command was ended before: randomK 10 % int8, no feedback; int4;",
    );
    expect(withMore(whole, { ...more, results: [] })).toEqual(whole);
    expect(() => withMore(whole, more)).toThrow("float32 of seed 2 is in what is kept");
    const other = { ...more, settings: { ...DEFAULT_SETTINGS, rounds: 2 } };
    expect(() => withMore(kept, other)).toThrow("other settings");
    // What is done before float32 of its seed waits for it.
    const early = [resultOf("int8", 250, 0.98, 3), resultOf("int4", 125, 0.98, 2)];
    expect(comparable(early, [...whole.results, ...early])).toEqual(early.slice(1));
  });

  test("[EC12] what is kept is whole: the table is that of the numbers beside it", async () => {
    const read = (name: string) => readFile(new URL(name, import.meta.url), "utf8");
    const kept = JSON.parse(await read("RESULTS.json")) as BytesReport;
    expect(renderBytes(kept)).toBe(await read("RESULTS.md"));
    expect(kept.settings).toEqual(DEFAULT_SETTINGS);
    expect(kept.results.filter(({ name, seed }) => name === "float32" && seed === 1)).toHaveLength(
      1,
    );
  });

  test("[EC12] every kind of encoding is among the cases", () => {
    const kinds = new Set(BYTES_CASES.map(({ encoding }) => encoding.kind));
    expect([...kinds].sort()).toEqual(["bfloat16", "float32", "int4", "int8", "randomK", "topK"]);
    expect(new Set(BYTES_CASES.map(({ name }) => name)).size).toBe(BYTES_CASES.length);
  });
});
