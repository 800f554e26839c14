import type { RoundResource } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { CliIo } from "./io.ts";
import { painter } from "./io.ts";
import { tableLines } from "./table.ts";
import { bytesText, ROUND_COLUMNS, spanText } from "./view.ts";

const round = (changes: Partial<RoundResource> = {}) =>
  ({
    roundNumber: 123_456,
    phase: "abandoned",
    reason: "aggregationTimedOut",
    modelVersion: 123_456,
    participants: { selected: 10_000, reported: 10_000 },
    evaluation: {
      source: "central",
      numExamples: 1,
      loss: 12.345_67,
      accuracy: 1,
      modelVersion: 1,
    },
    updateBytes: 999_400_000_000,
    epsilon: 12.345,
    phases: [
      { phase: "selecting", startedAt: "", durationMs: 1000 },
      { phase: "reporting", startedAt: "", durationMs: 8000 },
    ],
    ...changes,
  }) as RoundResource;

test("[CLI1] the widest round still fits 80 columns, and says where it was cut", () => {
  const lines = tableLines(ROUND_COLUMNS, [round(), round({ roundNumber: 1 })], 80);
  expect(lines.map((line) => line.length).filter((length) => length > 80)).toEqual([]);
  expect(lines[1]).toMatch(/^123456 {2}aggr\S*… /);
  expect(lines[1]).toContain("9.0 s");
});

test("[CLI1] columns are aligned, and not padded to the terminal's width", () => {
  const columns = [
    { title: "name", text: ([name]: [string, number]) => name },
    { title: "n", text: ([, n]: [string, number]) => `${n}`, align: "right" as const },
  ];
  const rows: [string, number][] = [
    ["a", 7],
    ["longer", 1000],
  ];
  expect(tableLines(columns, rows, 80)).toEqual(["NAME       N", "a          7", "longer  1000"]);
});

test("[CLI1] bytes and spans keep three digits and their unit", () => {
  expect([0, 999, 1000, 12_345, 999_499, 999_500, 4e6, 1.2e13].map(bytesText)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "12.3 kB",
    "999 kB",
    "1.00 MB",
    "4.00 MB",
    "12.0 TB",
  ]);
  expect([0, 999, 1500, 99_900, 120_000, 86_400_000].map(spanText)).toEqual([
    "0 ms",
    "999 ms",
    "1.5 s",
    "99.9 s",
    "2 min",
    "24 h",
  ]);
});

test("[CLI2] colours are for terminals that want them", () => {
  const io = (isTTY: boolean, env: CliIo["env"] = {}): CliIo => ({
    stdout: { write: () => undefined },
    stderr: { write: () => undefined },
    cwd: "/",
    env,
    isTTY,
  });
  expect(painter(io(true))("red", "x")).toBe("\u001b[31mx\u001b[0m");
  expect(painter(io(false))("red", "x")).toBe("x");
  expect(painter(io(true, { NO_COLOR: "1" }))("red", "x")).toBe("x");
  expect(painter(io(true, { NO_COLOR: "" }))("red", "x")).not.toBe("x");
  expect(painter(io(true, { TERM: "dumb" }))("red", "x")).toBe("x");
});
