/** What a task under a matrix mechanism needs beyond good fields: a matrix, and numbers that fit together. */

import type { FactorizationSpec, TaskSpec } from "@tributary/protocol";
import { muOfGaussian, roundedUp } from "@tributary/protocol";

import { bltFault } from "../privacy/matrix/blt.ts";
import { noiseStateBytes } from "../privacy/matrix/noise-state.ts";
import { optimizeBlt } from "../privacy/matrix/optimize-blt.ts";
import { mostParticipations } from "../privacy/matrix/toeplitz.ts";
import { treeHeight, treeSteps } from "../privacy/matrix/tree.ts";
import { epsilonOfRun } from "../round/matrix-budget.ts";

/** A matrix is found for so many steps in about a second, and no federation has had more. */
export const MOST_STEPS = 16_384;
/** The state is written with every step, in the database: what a disk takes in a second or so. */
const MOST_STATE_BYTES = 2 ** 28;

interface WrittenRun {
  readonly rounds: number;
  readonly minSeparation: number;
  readonly maxParticipations: number;
  readonly factorization:
    | {
        readonly kind: "blt";
        readonly decays?: readonly number[];
        readonly scales?: readonly number[];
      }
    | { readonly kind: "tree" };
}

/** The run's own matrix where none is given. Numbers with faults of their own get none, and are told anyway. */
export function completeFactorization(run: WrittenRun): FactorizationSpec {
  const { rounds, minSeparation, maxParticipations, factorization } = run;
  if (factorization.kind === "tree") return factorization;
  const { decays, scales } = factorization;
  const given = decays !== undefined || scales !== undefined;
  const numbers = [rounds, minSeparation, maxParticipations];
  const canFind = numbers.every((n) => Number.isSafeInteger(n) && n >= 1) && rounds <= MOST_STEPS;
  const { decays: found, scales: weights } =
    given || !canFind
      ? { decays: decays ?? [], scales: scales ?? [] }
      : optimizeBlt({ rounds, minSeparation, maxParticipations });
  return Object.freeze({
    kind: "blt",
    decays: Object.freeze(found),
    scales: Object.freeze(weights),
  });
}

/** Tells every fault of the run's numbers. */
export function checkMatrixTask(
  { privacy }: Pick<TaskSpec, "privacy">,
  parameterCount: number,
  report: (path: string, message: string) => void,
): void {
  if (privacy.mechanism !== "matrix") return;
  const { rounds, minSeparation, maxParticipations, factorization } = privacy;
  const most = mostParticipations(rounds, minSeparation);
  if (maxParticipations > most) {
    const message = `is ${maxParticipations}, while privacy.rounds of ${rounds} with privacy.minSeparation of ${minSeparation} have room for ${most}`;
    report("privacy.maxParticipations", message);
  }
  if (factorization.kind === "blt") {
    const fault = bltFault(factorization);
    if (fault !== undefined) report("privacy.factorization", fault);
  }
  const vectors =
    factorization.kind === "blt"
      ? factorization.decays.length
      : treeHeight(treeSteps(rounds, privacy));
  const bytes = noiseStateBytes(vectors, parameterCount);
  if (bytes > MOST_STATE_BYTES) {
    const message = `has to remember ${vectors} vectors of ${parameterCount} parameters, ${bytes} bytes, above ${MOST_STATE_BYTES}: use a smaller model or fewer vectors`;
    report("privacy.factorization", message);
  }
  const { delta, maxEpsilon, noiseMultiplier } = privacy;
  const epsilon = epsilonOfRun(privacy);
  if (!(epsilon <= maxEpsilon)) {
    const enough = roundedUp(1 / muOfGaussian(maxEpsilon, delta), 4);
    const message = `is ${maxEpsilon}, below the epsilon of ${roundedUp(epsilon, 4)} that a run of privacy.noiseMultiplier ${noiseMultiplier} costs at privacy.delta ${delta}; a noiseMultiplier of ${enough} would do`;
    report("privacy.maxEpsilon", message);
  }
}
