/**
 * Random numbers of a simulation: a stream of its own for every seed and purpose, the same on every machine and in
 * whatever order streams are opened. For experiments, and never for a release.
 */

import { createSeededUniform } from "../round/sampler.ts";

/** What a stream is for, so that no two purposes share one. */
const PURPOSES = {
  device: 1,
  round: 2,
  presence: 3,
  training: 4,
  localNoise: 5,
  centralNoise: 6,
  cohort: 7,
  ambient: 9,
  target: 10,
  offset: 11,
  gradient: 12,
  size: 13,
} as const;

export type Purpose = keyof typeof PURPOSES;

/** A 32-bit seed from several numbers; another order gives another seed (the finisher of MurmurHash3, Appleby). */
export function mixSeeds(...parts: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    hash = Math.imul(hash ^ (part >>> 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = (hash ^ (hash >>> 16)) + 0x6d2b79f5;
  }
  return hash >>> 0;
}

/** The seed of a stream: of this simulation, for this purpose and, say, this client in this round. */
export const seedFor = (seed: number, purpose: Purpose, ...of: readonly number[]): number =>
  mixSeeds(seed, PURPOSES[purpose], ...of);

export interface Draws {
  /** In [0, 1). */
  uniform(): number;
  /** Standard normal (Box and Muller 1958). */
  normal(): number;
  /** Exponential of mean 1. */
  exponential(): number;
}

export function drawsOf(seed: number): Draws {
  const { next } = createSeededUniform(seed);
  let spare: number | undefined;
  return {
    uniform: next,
    normal: () => {
      if (spare !== undefined) {
        const kept = spare;
        spare = undefined;
        return kept;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - next()));
      const angle = 2 * Math.PI * next();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    exponential: () => -Math.log(1 - next()),
  };
}

/**
 * Bytes from a seed, where a release takes them from the system. Whoever has the seed takes the noise out again:
 * nothing that was made with them is private, whatever its figures say.
 */
export interface SeededFill {
  readonly isSecret: false;
  fill(target: Uint8Array): void;
}

export function createSeededFill(seed: number): SeededFill {
  const { next } = createSeededUniform(seed);
  return {
    isSecret: false,
    fill: (target) => {
      let at = 0;
      for (; at + 4 <= target.length; at += 4) {
        const word = Math.floor(next() * 2 ** 32);
        target[at] = word;
        target[at + 1] = word >>> 8;
        target[at + 2] = word >>> 16;
        target[at + 3] = word >>> 24;
      }
      for (; at < target.length; at++) target[at] = Math.floor(next() * 256);
    },
  };
}
