import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { runCli } from "./run.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-privacy-"));
});
afterEach(() => rm(cwd, { recursive: true }));

async function privacy(...args: string[]) {
  let out = "";
  let err = "";
  const exit = await runCli(["privacy", ...args], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: {},
    cwd,
    isTTY: false,
  });
  return { exit, out, err };
}
const settingFlags = ["--sampling-rate", "0.01", "--rounds", "1000", "--delta", "1e-6"];

test("[CLI17] epsilon of one setting, as JSON and in words that never round down", async () => {
  const flags = [...settingFlags, "--noise-multiplier", "1"];
  const json = await privacy("epsilon", ...flags, "--json");
  expect(json.exit).toBe(0);
  const cost = JSON.parse(json.out) as Record<string, number>;
  expect(cost).toEqual({
    epsilon: cost.epsilon,
    delta: 1e-6,
    accountant: "pld",
    noiseMultiplier: 1,
    samplingRate: 0.01,
    rounds: 1000,
  });
  const words = await privacy("epsilon", ...flags);
  const shown = Number(/epsilon (\S+) at/.exec(words.out)?.[1]);
  expect(shown).toBeGreaterThanOrEqual(cost.epsilon as number);
  expect(shown).toBeLessThan((cost.epsilon as number) * 1.0001);
});

test("[CLI17] a file of settings comes back with epsilon added, other fields kept", async () => {
  const settings = [
    { samplingRate: 0.01, noiseMultiplier: 1, rounds: 10, delta: 1e-6, name: "a" },
    { samplingRate: 1, noiseMultiplier: 20, rounds: 3, delta: 1e-5 },
  ];
  await writeFile(join(cwd, "in.json"), JSON.stringify(settings));
  const { exit, out } = await privacy("epsilon", "--input", "in.json", "--json");
  expect(exit).toBe(0);
  const costs = JSON.parse(out) as { epsilon: number }[];
  expect(costs).toEqual(
    settings.map((setting, i) => ({
      ...setting,
      epsilon: costs[i]!.epsilon,
      accountant: expect.stringMatching(/^(rdp|pld)$/) as string,
    })),
  );
  expect(costs.every(({ epsilon }) => epsilon > 0)).toBe(true);
  const table = await privacy("epsilon", "--input", "in.json");
  expect(table.out.split("\n")[0]).toMatch(/SAMPLING +NOISE +ROUNDS +DELTA +EPSILON +BY/);
});

test("[CLI17] every fault of a file is told with its place", async () => {
  await writeFile(
    join(cwd, "in.json"),
    JSON.stringify([{ samplingRate: 2, noiseMultiplier: 1, rounds: 10 }, 7]),
  );
  const { exit, out, err } = await privacy("epsilon", "--input", "in.json");
  expect(exit).toBe(3);
  expect(out).toBe("");
  for (const place of ["0.samplingRate", "0.delta", "1.samplingRate", "1.rounds"]) {
    expect(err).toContain(place);
  }
  expect((await privacy("epsilon", "--input", "none.json")).exit).toBe(3);
  expect((await privacy("epsilon", "--input", "in.json", ...settingFlags)).err).toContain("leave");
  await writeFile(join(cwd, "in.json"), "{}");
  expect((await privacy("epsilon", "--input", "in.json")).err).toContain("array");
});

test("[CLI17] missing and impossible numbers are refused", async () => {
  const missing = await privacy("epsilon", ...settingFlags);
  expect(missing.exit).toBe(3);
  expect(missing.err).toContain("noiseMultiplier is required");
  for (const [flag, value] of [
    ["--noise-multiplier", "0"],
    ["--noise-multiplier", ""],
    ["--rounds", "1.5"],
    ["--delta", "1"],
    ["--sampling-rate", "one"],
  ] as const) {
    expect((await privacy("epsilon", ...settingFlags, flag, value)).exit).toBe(2);
  }
});

test("[CLI17] calibrate gives noise whose epsilon is within the target", async () => {
  const { out } = await privacy("calibrate", "--target-epsilon", "2", ...settingFlags, "--json");
  const answer = JSON.parse(out) as { noiseMultiplier: number; epsilon: number };
  expect(answer).toMatchObject({ targetEpsilon: 2, delta: 1e-6, samplingRate: 0.01, rounds: 1000 });
  expect(answer.epsilon).toBeLessThanOrEqual(2);
  expect(answer.epsilon).toBeGreaterThan(1.999);
  const back = await privacy(
    "epsilon",
    ...settingFlags,
    "--noise-multiplier",
    String(answer.noiseMultiplier),
    "--json",
  );
  expect((JSON.parse(back.out) as { epsilon: number }).epsilon).toBe(answer.epsilon);
});

test("[CLI17] plan is a table over rounds and noise, falling to the right and growing downwards", async () => {
  const flags = ["--sampling-rate", "0.1", "--delta", "1e-3"];
  const lists = ["--rounds", "10,100", "--noise-multipliers", "1,2"];
  const { out } = await privacy("plan", ...flags, ...lists);
  const rows = out
    .trim()
    .split("\n")
    .slice(2)
    .map((line) => line.trim().split(/\s+/).map(Number));
  expect(rows.map(([rounds]) => rounds)).toEqual([10, 100]);
  for (const [, loud, quiet] of rows) expect(loud).toBeGreaterThan(quiet as number);
  expect(rows[1]![1]).toBeGreaterThan(rows[0]![1] as number);
  const json = await privacy("plan", ...flags, ...lists, "--json");
  expect(JSON.parse(json.out)).toHaveLength(4);
});
