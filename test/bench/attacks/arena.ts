/**
 * Rounds of federated learning in which some clients lie. The aggregation is the coordinator's own; sockets and
 * schedule, which change nothing about it, are left out.
 */

import type { LabelledImages, Mnist } from "@tributary/example-digits";
import type { RobustRule } from "@tributary/protocol";

import { denseDelta } from "../../../coordinator/src/aggregation/encoded-delta.ts";
import { createFedAvg } from "../../../coordinator/src/aggregation/fed-avg.ts";
import { robustMean } from "../../../coordinator/src/aggregation/robust/robust-mean.ts";
import { rowsOf } from "../../../coordinator/src/aggregation/robust/tiles.ts";
import { createSeededUniform } from "../../../coordinator/src/round/sampler.ts";
import type { Attack } from "./attacks.ts";
import type { LearnerSettings } from "./learner.ts";
import { accuracyOf, firstWeights, PARAMETERS, shuffle, trainDelta } from "./learner.ts";

/** How a round becomes one update. */
export interface Defence {
  readonly name: string;
  readonly aggregation: { readonly kind: "mean"; readonly weighted?: true } | RobustRule;
  readonly clippingNorm?: number;
}

export interface ArenaSettings extends LearnerSettings {
  readonly seed: number;
  /** Clients in a round, and how many of them lie. */
  readonly cohort: number;
  readonly liars: number;
  readonly rounds: number;
  /** Test images that the last model is judged by. */
  readonly judged: number;
}

/** Examples of each client, honest ones and liars apart. */
export interface Population {
  readonly honest: readonly (readonly number[])[];
  readonly liars: readonly (readonly number[])[];
}

/** What a liar says of its examples where that weighs: the default cap. */
const CLAIMED = 10_000;

/** Accuracy of the model after all rounds. The same settings give the same number. */
export function playAttack(
  { train, test }: Mnist,
  population: Population,
  attack: Attack,
  defence: Defence,
  settings: ArenaSettings,
): number {
  const uniform = createSeededUniform(settings.seed).next;
  let weights = firstWeights(uniform);
  for (let round = 0; round < settings.rounds; round++) {
    const honest = draw(population.honest, settings.cohort - settings.liars, uniform);
    const liars = draw(population.liars, settings.liars, uniform);
    const learn = (examples: readonly number[], labelOf: Attack["labelOf"]) =>
      trainDelta(weights, train, examples, settings, uniform, labelOf);
    const truths = honest.map((examples) => learn(examples, (digit) => digit));
    const lies = liars.map((examples) =>
      attack.lie(learn(examples, attack.labelOf), truths, settings.cohort),
    );
    const claims = [
      ...honest.map(({ length }) => length),
      ...liars.map(({ length }) => (attack.name === "none" ? length : CLAIMED)),
    ];
    const mean = aggregate([...truths, ...lies], claims, defence);
    weights = weights.map((weight, i) => weight + (mean[i] as number));
  }
  return accuracyOf(weights, test, Math.min(settings.judged, test.count));
}

function aggregate(
  updates: readonly Float32Array[],
  claims: readonly number[],
  { aggregation, clippingNorm }: Defence,
): Float64Array {
  const clip = clippingNorm === undefined ? {} : { clippingNorm };
  if (aggregation.kind !== "mean") return robustMean(aggregation, rowsOf(updates), clip);
  const sum = createFedAvg({
    parameterCount: PARAMETERS,
    weighting:
      aggregation.weighted === true ? { kind: "byExamples", cap: CLAIMED } : { kind: "uniform" },
    ...clip,
  });
  for (const [i, update] of updates.entries()) {
    sum.add({ delta: denseDelta(update), numExamples: claims[i] as number });
  }
  return sum.mean();
}

function draw<T>(from: readonly T[], count: number, uniform: () => number): T[] {
  const all = [...from];
  shuffle(all, uniform);
  return all.slice(0, count);
}

/** Clients by who wrote the digits; where nobody knows, by two shards of sorted digits each. */
export function populationOf(
  train: LabelledImages,
  writers: Uint16Array | undefined,
  liarShare: number,
  seed: number,
): Population {
  const uniform = createSeededUniform(seed).next;
  const clients = writers === undefined ? shardsOf(train, uniform) : byWriter(writers);
  shuffle(clients, uniform);
  const liars = Math.round(liarShare * clients.length);
  return { liars: clients.slice(0, liars), honest: clients.slice(liars) };
}

function byWriter(writers: Uint16Array): number[][] {
  const of = new Map<number, number[]>();
  for (const [image, writer] of writers.entries()) {
    const own = of.get(writer);
    if (own === undefined) of.set(writer, [image]);
    else own.push(image);
  }
  return [...of.values()];
}

/** Of 500 clients, with 120 images each in two runs of one digit. */
function shardsOf({ labels }: LabelledImages, uniform: () => number): number[][] {
  const sorted = [...labels.keys()].sort((a, b) => (labels[a] as number) - (labels[b] as number));
  const shards = Array.from({ length: 1_000 }, (_, i) => sorted.slice(60 * i, 60 * i + 60));
  shuffle(shards, uniform);
  return Array.from({ length: 500 }, (_, i) => shards.slice(2 * i, 2 * i + 2).flat());
}
