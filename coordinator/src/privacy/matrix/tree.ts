/**
 * The binary tree (Dwork, Naor, Pitassi, Rothblum 2010; Chan, Shi, Song 2011; as DP-FTRL in Kairouz et al. 2021,
 * "Practical and Private (Deep) Learning without Sampling or Shuffling"): every node is a sum of 1, 2, 4, … steps
 * with noise of its own, and a prefix is a sum of at most log2 nodes. A tree begins anew after as many steps as a
 * client stays away, so that no tree holds a client twice:
 *
 *     sens^2 = height * k,   height = ceil(log2(steps of a tree + 1))
 */

import type { ParticipationLimits, PrefixError } from "./toeplitz.ts";
import { mostParticipations } from "./toeplitz.ts";

/** Steps of one tree: all of the run where each client is in it once. */
export function treeSteps(
  rounds: number,
  { minSeparation, maxParticipations }: ParticipationLimits,
): number {
  const times = Math.min(maxParticipations, mostParticipations(rounds, minSeparation));
  return times === 1 ? rounds : Math.min(rounds, minSeparation);
}

/** Nodes that one step is in, at most. */
export function treeHeight(steps: number): number {
  let height = 0;
  // 2^height - 1 steps have this height; whole numbers, so that no logarithm is off by one.
  while (2 ** height - 1 < steps) height += 1;
  return height;
}

export function treeSensitivitySquared(rounds: number, limits: ParticipationLimits): number {
  const times = Math.min(
    limits.maxParticipations,
    mostParticipations(rounds, limits.minSeparation),
  );
  return treeHeight(treeSteps(rounds, limits)) * times;
}

/** Nodes of finished trees and of the open one: as many independent noises as a prefix has. */
export function treePrefixError(rounds: number, limits: ParticipationLimits): PrefixError {
  const steps = treeSteps(rounds, limits);
  let finished = 0;
  let [max, total] = [0, 0];
  for (let t = 1; t <= rounds; t++) {
    const inTree = ((t - 1) % steps) + 1;
    const nodes = finished + bitsOf(inTree);
    if (inTree === steps) finished = nodes;
    max = Math.max(max, nodes);
    total += nodes;
  }
  return { max, mean: total / rounds };
}

function bitsOf(value: number): number {
  let bits = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}

/** The level of the node that ends with this step of a tree, counted from 1: its trailing zeros. */
export function endingLevel(inTree: number): number {
  let level = 0;
  for (let rest = inTree; rest % 2 === 0; rest /= 2) level += 1;
  return level;
}
