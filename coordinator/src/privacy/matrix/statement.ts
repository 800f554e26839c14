/** What is promised under a matrix mechanism, in words. Pure. */

import { roundedUp } from "@tributary/protocol";

export interface MatrixFacts {
  readonly epsilonOfRun: number;
  readonly delta: number;
  readonly maxEpsilon: number;
  /** Steps taken, of so many. */
  readonly rounds: number;
  readonly runRounds: number;
  readonly noiseMultiplier: number;
  readonly clippingNorm: number;
  readonly factorization: "blt" | "tree";
  readonly sensitivity: number;
  readonly minSeparation: number;
  readonly maxParticipations: number;
}

const MATRICES = { blt: "a buffered Toeplitz matrix", tree: "binary trees" } as const;

/** The privacy statement of a task. */
export function matrixStatement(facts: MatrixFacts): string {
  return [
    `Each client's whole contribution is protected: whether all of it is in the sums of this task, or zeros in its`,
    `place, changes the probability of any set of released models by at most a factor e^epsilon, up to delta, with`,
    `epsilon = ${roundedUp(facts.epsilonOfRun, 4)} and delta = ${facts.delta} for the whole run of`,
    `${facts.runRounds} rounds, of which ${facts.rounds} are done (neighbours: one client's parts zeroed out;`,
    `accountant: the exact curve of one Gaussian release; budget: epsilon <= ${facts.maxEpsilon}).`,
    `Mechanism: DP-FTRL by ${MATRICES[facts.factorization]}: every delta is clipped to L2 norm ${facts.clippingNorm},`,
    `each sum gets Gaussian noise that takes back part of the noise before it, made of independent noise of`,
    `${facts.noiseMultiplier} times ${roundedUp(facts.sensitivity, 4)} times that norm, and the denominator is fixed.`,
    `No client is in more than ${facts.maxParticipations} rounds, nor in two that are less than`,
    `${facts.minSeparation} apart; the coordinator's records enforce it, and a client may as well. Nothing is claimed`,
    `of how clients are chosen: it holds also where an adversary chooses them within these limits.`,
    `This holds against anyone who sees only released models. It does not hold against the coordinator, which sees`,
    `each update and keeps the noise state, a secret; nor does it hide who took part; nor protect a person who runs`,
    `several clients as one: k of them together are protected as if the noise were divided by k. Clipped deltas and`,
    `their sums are whole steps of a public grid, and exact, and the noise is rounded to it, so that no last bits`,
    `tell more; it is drawn in double precision, very near to the distribution accounted for and not exactly it.`,
  ].join(" ");
}
