/** A run under a matrix mechanism: what its matrix costs, and its noise step by step. */

import type { BltParameters } from "./blt.ts";
import { bltFault, bltPrefixError, bltSensitivitySquared } from "./blt.ts";
import type { NoiseState } from "./noise-state.ts";
import type { ParticipationLimits, PrefixError } from "./toeplitz.ts";
import { mostParticipations } from "./toeplitz.ts";
import {
  endingLevel,
  treeHeight,
  treePrefixError,
  treeSensitivitySquared,
  treeSteps,
} from "./tree.ts";

export interface MatrixRun extends ParticipationLimits {
  /** n: steps of the run; each releases one sum. */
  readonly rounds: number;
  readonly factorization: ({ readonly kind: "blt" } & BltParameters) | { readonly kind: "tree" };
}

export interface Factorization {
  readonly run: MatrixRun;
  /** sens(C)^2: largest |C x|^2 of one client whose parts have norm 1, within the limits. */
  readonly sensitivitySquared: number;
  /** Variance of the noise of prefix sums over that of one fresh element. */
  readonly prefixError: PrefixError;
  /** Vectors of the model's size that its noise remembers. */
  readonly stateVectors: number;
  /** All of its noise is whole where the fresh one is. */
  readonly isWhole: boolean;
  /** Before the first step. */
  begin(size: number): NoiseState;
  /**
   * The noise of the next step, (C^-1 Z)_t, from fresh noise Z_t; `state` stays as it was.
   * @param fresh independent elements of one variance; taken over
   * @throws RangeError when the run is over or the state is not this run's
   */
  step(state: NoiseState, fresh: Float64Array): { noise: Float64Array; next: NoiseState };
}

/** Why there can be no such run; undefined where there can. */
export function runFault(run: MatrixRun): string | undefined {
  const { rounds, minSeparation, maxParticipations, factorization } = run;
  for (const [name, value] of Object.entries({ rounds, minSeparation, maxParticipations })) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      return `${name} is ${value}, must be a whole number >= 1`;
    }
  }
  const most = mostParticipations(rounds, minSeparation);
  if (maxParticipations > most) {
    return `maxParticipations is ${maxParticipations}, while ${rounds} rounds with a separation of ${minSeparation} have room for ${most}`;
  }
  if (factorization.kind === "tree") return undefined;
  const fault = bltFault(factorization);
  return fault === undefined ? undefined : `the matrix ${fault}`;
}

/** @throws RangeError where {@link runFault} finds one */
export function createFactorization(run: MatrixRun): Factorization {
  const fault = runFault(run);
  if (fault !== undefined) throw new RangeError(fault);
  return run.factorization.kind === "blt" ? createBlt(run, run.factorization) : createTree(run);
}

/**
 * y_t = z_t - sum over j of scale_j b_j,   b_j <- decay_j b_j + y_t,   b_j = 0 at first.
 *
 * That is C y = z, solved from the top. Its errors die out: the matrix that takes the buffers from step to step has
 * its eigenvalues between the decays and below them, in (-1, 1). Sums and products of doubles in a fixed order: the
 * same bits everywhere.
 */
function createBlt(run: MatrixRun, blt: BltParameters): Factorization {
  const { decays, scales } = blt;
  return {
    run,
    sensitivitySquared: bltSensitivitySquared(blt, run.rounds, run),
    prefixError: bltPrefixError(blt, run.rounds),
    stateVectors: decays.length,
    isWhole: false,
    begin: (size) => emptyState(decays.length, size),
    step: (state, fresh) => {
      assertState(run, state, decays.length, fresh.length);
      const noise = fresh;
      for (const [j, buffer] of state.vectors.entries()) {
        const scale = scales[j] as number;
        for (let i = 0; i < noise.length; i++) {
          noise[i] = (noise[i] as number) - scale * (buffer[i] as number);
        }
      }
      const vectors = state.vectors.map((buffer, j) => {
        const decay = decays[j] as number;
        return buffer.map((value, i) => decay * value + (noise[i] as number));
      });
      return { noise, next: { step: state.step + 1, vectors } };
    },
  };
}

/** The nodes of the prefix so far change by one that ends now and, in its place, those that it is made of. */
function createTree(run: MatrixRun): Factorization {
  const steps = treeSteps(run.rounds, run);
  const levels = treeHeight(steps);
  return {
    run,
    sensitivitySquared: treeSensitivitySquared(run.rounds, run),
    prefixError: treePrefixError(run.rounds, run),
    stateVectors: levels,
    isWhole: true,
    begin: (size) => emptyState(levels, size),
    step: (state, fresh) => {
      assertState(run, state, levels, fresh.length);
      const inTree = (state.step % steps) + 1;
      const level = endingLevel(inTree);
      const noise = fresh.slice();
      for (const node of state.vectors.slice(0, level)) {
        for (let i = 0; i < noise.length; i++)
          noise[i] = (noise[i] as number) - (node[i] as number);
      }
      // A tree that ends leaves its noise in the prefix and nothing to take out of it later.
      const vectors = state.vectors.map((node, at) => {
        if (inTree === steps || at < level) return new Float64Array(fresh.length);
        return at === level ? fresh : node;
      });
      return { noise, next: { step: state.step + 1, vectors } };
    },
  };
}

const emptyState = (vectors: number, size: number): NoiseState => ({
  step: 0,
  vectors: Array.from({ length: vectors }, () => new Float64Array(size)),
});

function assertState(run: MatrixRun, state: NoiseState, vectors: number, size: number): void {
  if (state.step >= run.rounds) {
    throw new RangeError(`the run has ${run.rounds} steps, all of them done`);
  }
  if (state.vectors.length !== vectors || state.vectors.some(({ length }) => length !== size)) {
    throw new RangeError(`the noise state is not of ${vectors} vectors of ${size} elements`);
  }
}
