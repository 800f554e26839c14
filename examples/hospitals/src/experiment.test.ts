import { expect, test } from "vitest";

import { compareStrategies } from "./experiment.ts";
import type { Hospital, Patient } from "./heart-disease.ts";
import { CENTRES } from "./heart-disease.ts";
import { STRATEGIES } from "./strategies.ts";

const patient = (i: number): Patient => ({
  features: [i % 2 === 0 ? 1 : -1, ...Array.from({ length: 12 }, (_, j) => Math.sin(i * 13 + j))],
  label: i % 2 === 0 ? 1 : 0,
});
const hospitals: Hospital[] = CENTRES.map((centre, k) => ({
  centre,
  train: Array.from({ length: 20 + 8 * k }, (_, i) => patient(i + 100 * k)),
  test: Array.from({ length: 10 }, (_, i) => patient(i + 100 * k + 60)),
}));

test("[EX12] every strategy learns through a real coordinator, beside pooled and local training", async () => {
  const heard: string[] = [];
  const onRow = ({ name }: { name: string }) => heard.push(name);
  const rows = await compareStrategies(hospitals, { seeds: [42], rounds: 10, onRow });
  const names = rows.map(({ name }) => name);
  expect(names).toEqual(heard);
  expect(names).toEqual([
    "local only",
    "pooled",
    "pooled, one scaling",
    ...STRATEGIES.map(({ name }) => name),
  ]);
  for (const { name, mean, perCentre } of rows) {
    expect(perCentre, name).toHaveLength(4);
    expect(mean, name).toBeGreaterThan(0.9);
  }
});

test("[EX12] the same seeds give the same figures", async () => {
  const strategies = STRATEGIES.slice(0, 1);
  const run = () => compareStrategies(hospitals, { seeds: [42, 43], rounds: 1, strategies });
  expect(await run()).toEqual(await run());
});
