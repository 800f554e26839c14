/** Populations of phones: how long they train and upload, and how a task may sample them. */

import type { Scenario } from "./simulation.ts";

/** Box and Muller 1958. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const logNormal = (medianMs: number, sigma: number) => (random: () => number) =>
  medianMs * Math.exp(sigma * normal(random));
/** Without a variance at alpha = 1.5: the slowest of a cohort takes as long as very many others. */
const pareto = (leastMs: number, alpha: number) => (random: () => number) =>
  leastMs / (1 - random()) ** (1 / alpha);

const BASE = {
  dropOut: 0.3,
  flapping: 0.2,
  announceUploads: true,
  uploadMs: logNormal(6_000, 0.8),
} as const;

/** For `goal` reports at 30 % drop-out half as many again are selected: 0.7 x 1.5 is a little above 1. */
export function scenarios(goal: number): Scenario[] {
  const uniform = {
    sampler: { kind: "uniform", cohortSize: goal, overSelection: 0.5 },
    minClients: Math.ceil(goal * 1.5),
    population: goal * 3,
  } as const;
  const everybody = {
    sampler: { kind: "all" },
    minClients: goal,
    population: goal * 2,
  } as const;
  const slow = { trainingMs: logNormal(60_000, 0.8), uploadMs: logNormal(30_000, 0.8) };
  return [
    { ...BASE, ...uniform, name: "goal, log-normal", trainingMs: logNormal(60_000, 0.8) },
    { ...BASE, ...uniform, name: "goal, Pareto", trainingMs: pareto(30_000, 1.5) },
    { ...BASE, ...uniform, ...slow, name: "goal, slow uplinks" },
    {
      ...BASE,
      ...uniform,
      ...slow,
      name: "goal, slow uplinks, without last call",
      announceUploads: false,
    },
    { ...BASE, ...everybody, name: "everybody, log-normal", trainingMs: logNormal(60_000, 0.8) },
    { ...BASE, ...everybody, name: "everybody, Pareto", trainingMs: pareto(30_000, 1.5) },
  ];
}
