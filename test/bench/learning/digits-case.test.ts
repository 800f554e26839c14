import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { DIGITS_CASES } from "./cases.ts";
import { runDigitsCase } from "./digits-case.ts";
import { referenceRounds } from "./reference.ts";

const iid = DIGITS_CASES.find(({ name }) => name === "2nn-iid")!;

test("[EX18] two rounds of the IID case learn, with the curve kept and the target not claimed", async () => {
  const heard: number[] = [];
  const onRound = ({ round }: { round: number }) => heard.push(round);
  const result = await runDigitsCase(iid, { seed: 1, maxRounds: 2, processes: 0, onRound });
  expect(heard).toEqual([1, 2]);
  expect(result.curve.map(({ reports }) => reports)).toEqual([10, 10]);
  // PyTorch has 0.8477 and 0.8819 after the same rounds.
  expect(result.curve[0]?.accuracy).toBeGreaterThan(0.8);
  expect(result.curve[1]?.accuracy).toBeGreaterThan(0.85);
  expect(result.best).toBe(Math.max(...result.curve.map(({ accuracy }) => accuracy)));
  expect(result).not.toHaveProperty("roundsToTarget");
  expect(result.reached).toBe(false);
});

test("[EX18] a case stops at its target and says in which round", async () => {
  const easy = { ...iid, targetAccuracy: 0.5, goalRounds: 3 };
  const result = await runDigitsCase(easy, { seed: 1, processes: 0 });
  expect(result).toMatchObject({ roundsToTarget: 1, reached: true });
  expect(result.curve).toHaveLength(1);
});

test("[EX18] only reference runs of the same experiment are compared", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tributary-reference-"));
  try {
    expect(await referenceRounds(iid, folder)).toBeUndefined();
    const run = { kind: "iid", lr: 0.1, E: 1, B: 10, seed: 0, hit: { "0.97": 48 } };
    const others = [
      { ...run, kind: "noniid" },
      { ...run, lr: 0.2154 },
      { ...run, E: 10 },
      { ...run, hit: { "0.9": 3 } },
    ];
    await mkdir(join(folder, "mnist-writers"));
    const path = join(folder, "mnist-writers", "fedavg-reference-curves.json");
    await writeFile(path, JSON.stringify({ runs_2nn: [...others, run] }));
    expect(await referenceRounds(iid, folder)).toEqual([48]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
