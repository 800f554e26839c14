import type { Encoding } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { BytesCase, BytesSettings } from "./cases.ts";
import { BYTES_CASES, DEFAULT_SETTINGS, GOALS } from "./cases.ts";
import type { BytesReport } from "./report.ts";
import { bestFor, curveOf, renderBytes, withMore } from "./report.ts";
import type { BytesResult } from "./run-case.ts";
import { runBytesCase } from "./run-case.ts";

const resultOf = (name: string, bytes: number, accuracy: number): BytesResult => ({
  ...{ name, bytes, accuracy, accuracies: [accuracy], brotliBytes: bytes / 2, brotliMs: 1 },
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
    const whole = await runBytesCase(caseOf("float32"), small);
    const [int8, topK] = [
      await runBytesCase(caseOf("int8"), small),
      await runBytesCase(topKCase, small),
    ];
    expect(whole.accuracy).toBeGreaterThan(0.6);
    // Of 1 000 images one point is ten: what is lost here says that nothing is broken, and no more.
    expect(int8.accuracy).toBeGreaterThan(whole.accuracy - 0.03);
    expect(topK.accuracy).toBeGreaterThan(whole.accuracy - 0.1);
    expect(int8.bytes / whole.bytes).toBeCloseTo(0.251, 2);
    expect(topK.bytes / whole.bytes).toBeLessThan(1 / 16);
    // What is left out comes later, and that shows.
    const forgetful = { name: "forgetful", encoding: forget(topKCase) };
    expect((await runBytesCase(forgetful, small)).accuracies).not.toEqual(topK.accuracies);
    // The same seeds again: the same model.
    expect((await runBytesCase(caseOf("int8"), small)).accuracies).toEqual(int8.accuracies);
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
    expect(() => curveOf([resultOf("int8", 1, 1)])).toThrow("float32 was not run");
  });

  test("[EC12] a report tells machine, settings, goals, and what was not run", () => {
    const text = renderBytes(
      reportOf([resultOf("float32", 6_653_548, 0.98), resultOf("topK 1 % int8", 34_112, 0.975)]),
    );
    expect(text).toContain("| topK 1 % int8 | 34 112 | 1/195.1 | 97.50 % | 0.50 | 50 % | 1 |");
    expect(text).toContain("**missed**: at most 1/8 of the bytes");
    expect(text).toContain(
      "met: at most 1/32 of the bytes at no more than 1 points lost: topK 1 %",
    );
    expect(text).toContain("Not run, as the command was ended before: topK 10 % int8; int4;");
    expect(text).toContain("Machine: c, 2 cores");
  });

  test("[EC12] a run that was ended early is gone on with, and only by the same training", () => {
    const kept = reportOf([resultOf("float32", 1000, 0.98), resultOf("int8", 250, 0.98)]);
    const more = {
      ...reportOf([resultOf("topK 10 % int8", 50, 0.979), resultOf("bfloat16", 500, 0.98)]),
      command: "npm run bench:bytes -- --continue",
    };
    const whole = withMore(kept, more);
    expect(whole.results.map(({ name }) => name)).toEqual([
      ...["float32", "topK 10 % int8", "int8", "bfloat16"],
    ]);
    const text = renderBytes(whole);
    expect(text).toContain("- Added: topK 10 % int8; bfloat16: 2026-01-01T00:00:00.000Z, `npm run");
    expect(text).toContain("Not run, as the command was ended before: topK 1 % int8; int4;");
    expect(withMore(whole, { ...more, results: [] })).toEqual(whole);
    expect(() => withMore(whole, more)).toThrow("topK 10 % int8 is in what is kept");
    const other = { ...more, settings: { ...DEFAULT_SETTINGS, seed: 2 } };
    expect(() => withMore(kept, other)).toThrow("other settings");
  });

  test("[EC12] every kind of encoding is among the cases", () => {
    const kinds = new Set(BYTES_CASES.map(({ encoding }) => encoding.kind));
    expect([...kinds].sort()).toEqual(["bfloat16", "float32", "int4", "int8", "randomK", "topK"]);
    expect(new Set(BYTES_CASES.map(({ name }) => name)).size).toBe(BYTES_CASES.length);
  });
});
