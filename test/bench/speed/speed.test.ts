import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { measureSection } from "./measure-section.ts";
import { mapSpread, spreadOf } from "./measure.ts";
import type { BenchReport } from "./report.ts";
import { renderReport } from "./table.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const BROKEN = new URL("./broken-section.fixture.mjs", import.meta.url);

/** Seconds on a machine that has nothing else to do. */
const LONG_MS = 300_000;

const bench = (...options: readonly string[]) =>
  promisify(execFile)(
    process.execPath,
    ["--conditions=@tributary/source", "--import=jiti/register", MAIN, ...options],
    { cwd: ROOT, timeout: LONG_MS, killSignal: "SIGKILL", maxBuffer: 2 ** 24 },
  );

/** Units of figures that follow from others, are the same in each run, or are the worst or the middle one of all: they come alone. */
const WITHOUT_SPREAD = [
  "times the read",
  "ns CPU / parameter and client",
  "CPU / bare",
  "KB",
  "share of the bytes",
  "accuracy",
  "bytes told each",
  "longest turn, ms CPU",
  "µs CPU to connect",
];

test(
  "[PF1] every section runs, and what it measures are numbers, with their spread where runs differ",
  { timeout: LONG_MS },
  async () => {
    const { stdout, stderr } = await bench("--mini");
    const { sections, machine } = JSON.parse(stdout) as BenchReport;
    expect(sections.flatMap(({ name, failure }) => (failure === undefined ? [] : [name]))).toEqual(
      [],
    );
    for (const { name, title, result } of sections) {
      expect(result?.rows.length, name).toBeGreaterThan(0);
      for (const row of result!.rows) {
        for (const [unit, value] of Object.entries(row.values)) {
          if (typeof value === "string") continue;
          if (typeof value === "number") {
            expect(WITHOUT_SPREAD, `${name}, ${row.name}: ${unit} has no spread`).toContain(unit);
          }
          const { median, min, max } =
            typeof value === "number" ? { median: value, min: value, max: value } : value;
          expect(Number.isFinite(median), `${name}, ${row.name}: ${unit}`).toBe(true);
          expect(min <= median && median <= max, `${name}, ${row.name}: ${unit}`).toBe(true);
        }
      }
      for (const goal of result?.goals ?? []) {
        expect(Number.isFinite(goal.measured), `${name}: ${goal.name}`).toBe(true);
      }
      expect(stderr).toContain(`## ${title}`);
    }
    expect(machine).toMatchObject({ node: process.version, cpu: expect.any(String) });
    // Where there is a C compiler, robust rules stand beside what it makes of a read, as the mean does.
    const isRead = (section: string) =>
      sections.some(
        ({ name, result }) =>
          name === section && result?.rows.some((row) => row.name.endsWith("memory read (C)")),
      );
    expect(isRead("robust")).toBe(isRead("mean"));
  },
);

test("[PF2] a section that throws, dies, says nothing or hangs is reported so, and others still run", async () => {
  const run = (name: string, limitMs?: number) =>
    measureSection(
      { name, title: name },
      { mini: true, module: BROKEN, ...(limitMs === undefined ? {} : { limitMs }) },
    );
  const failures = [
    await run("throws"),
    await run("is killed"),
    await run("says nothing"),
    await run("hangs", 1_000),
  ].map(({ failure }) => failure);
  expect(failures).toEqual([
    "it ended with 1: RangeError: no such thing",
    "it ended with SIGKILL",
    "it ended with 3",
    "it took longer than 1 s",
  ]);
  expect((await run("works")).result?.rows).toEqual([{ name: "mini", values: { ms: 1 } }]);
});

test("[PF3] a section that there is not stops the run, naming those that there are", async () => {
  await expect(bench("--section", "noice")).rejects.toThrow(
    /no section "noice"; there are .*noise/,
  );
});

const KEPT = new URL("../RESULTS.json", import.meta.url);

test("[PF4] RESULTS.md is what RESULTS.json renders to: nobody edited it", () => {
  const report = JSON.parse(readFileSync(KEPT, "utf8")) as BenchReport;
  const text = readFileSync(new URL("../RESULTS.md", import.meta.url), "utf8");
  expect(text).toBe(renderReport(report));
  for (const fact of [report.machine.cpu, report.machine.node, report.date]) {
    expect(text).toContain(fact);
  }
});

test("[PF5] a report tells medians with their spread, references as such, and goals that were missed", () => {
  const report: BenchReport = {
    date: "2026-01-02T03:04:05.678Z",
    command: "npm run bench",
    commit: "abc1234",
    loadAfter: 1.5,
    machine: { cpu: "A|B", cores: 2, memoryGb: 8, os: "Linux", node: "v20", loadBefore: 0.25 },
    sections: [
      {
        name: "one",
        title: "The first",
        seconds: 12.34,
        result: {
          rows: [
            { name: "ours", values: { "ms CPU": spreadOf([3, 1, 1_234.5]), note: "a|b" } },
            { name: "numpy", isReference: true, values: { "MB/s": 12_345.6 } },
          ],
          goals: [
            { name: "fast", aim: "at most 2", measured: 2.5, isReached: false },
            { name: "small", aim: "at most 3", measured: 2.5, isReached: true },
          ],
          notes: ["How it was."],
        },
      },
      { name: "two", title: "The second", seconds: 1, failure: "it broke" },
    ],
  };
  const lines = renderReport(report).split("\n");
  const cellsOf = (start: string) =>
    lines
      .filter((line) => line.startsWith(`| ${start}`))
      .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  expect(cellsOf("ours")).toEqual([["", "ours", "3 (1 – 1 235)", "a\\|b", "", ""]]);
  expect(cellsOf("_numpy_")).toEqual([["", "_numpy_ (reference)", "", "", "12 346", ""]]);
  expect(cellsOf("one")).toEqual([
    ["", "one", "fast", "at most 2", "2.5", "**not reached**", ""],
    ["", "one", "small", "at most 3", "2.5", "reached", ""],
  ]);
  expect(lines).toContain("**Failed:** it broke");
  expect(lines).toContain("- How it was.");
  expect(lines.join("\n")).toMatch(/commit abc1234[^]*A\|B, 2 cores, 8 GB[^]*before: 0.25/);
});

test("[PF5] a spread is turned with its unit: the slowest run is the smallest rate", () => {
  const ms = spreadOf([4, 1, 2, 8]);
  expect(ms).toEqual({ median: 3, min: 1, max: 8, runs: 4 });
  expect(mapSpread(ms, (x) => 24 / x)).toEqual({ median: 8, min: 3, max: 24, runs: 4 });
});
