/**
 * A step of a task's matrix run: noise from the state that the store keeps, the step taken, and only then the sum.
 *
 * The order is what makes crashes harmless. Noise that was drawn and whose step was not taken met no sum, so the step
 * may be taken again with other noise. A step that was taken is never taken again: its charge, its participants and
 * the state that follows from its noise came in one transaction, and whether its release is seen, lost or fails
 * afterwards is post-processing of a release that is accounted for.
 */

import type { MatrixPrivacy, TaskSpec } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { GridSum } from "../aggregation/grid-sum.ts";
import type { Clock, PrivacyCharge, Store, TaskRecord } from "../ports.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { chargesThatCount } from "../privacy/ledger.ts";
import { matrixMechanism } from "../privacy/matrix/matrix-mechanism.ts";
import type { NoiseState } from "../privacy/matrix/noise-state.ts";
import { decodeNoiseState, encodeNoiseState } from "../privacy/matrix/noise-state.ts";
import { expectedReportsOf } from "./budget.ts";
import { factorizationOf } from "./factorization.ts";
import type { SummedRound } from "./progress.ts";

export interface MatrixDeps {
  readonly store: Pick<Store, "listLedger" | "noiseState" | "takeNoiseStep">;
  readonly noise: IntegerNoise;
  readonly clock: Clock;
}

/** Steps that the task has taken. */
export async function stepsTaken(
  store: Pick<Store, "listLedger">,
  { taskId }: Pick<TaskSpec, "taskId">,
): Promise<number> {
  return chargesThatCount(await store.listLedger(taskId)).length;
}

/**
 * The noise state before step `step`.
 * @throws FederatedError INTERNAL when it is missing, damaged or another step's: the run cannot go on then
 */
export async function loadNoiseState(
  store: Pick<Store, "noiseState">,
  { taskId, layout }: TaskRecord,
  privacy: MatrixPrivacy,
  step: number,
): Promise<NoiseState> {
  const { begin, stateVectors } = factorizationOf(privacy);
  const size = layout.parameterCount;
  if (step === 0) return begin(size);
  const lost = (why: string, cause?: unknown) =>
    new FederatedError(
      "INTERNAL",
      `the noise state of task "${taskId}" before step ${step} ${why}; the run cannot be continued`,
      { cause },
    );
  const bytes = await store.noiseState(taskId);
  if (bytes === undefined) throw lost("is missing");
  try {
    return await decodeNoiseState(bytes, { step, vectors: stateVectors, size });
  } catch (error) {
    throw lost("cannot be used", error);
  }
}

/**
 * The noisy mean of a step, whose charge, participants and following state are durable before the noise meets the sum.
 * @throws where anything is not as it must be: nothing is released then
 */
export async function releaseStep(
  { store, noise, clock }: MatrixDeps,
  task: TaskRecord,
  round: SummedRound,
  sum: GridSum,
  charge: PrivacyCharge,
): Promise<Float64Array> {
  const { spec, taskId } = task;
  const { roundId, contributors } = round;
  if (spec.privacy.mechanism !== "matrix") throw new Error("only a matrix run has steps");
  if (sum.count !== contributors.length) {
    throw new Error(
      `the sum has ${sum.count} updates, of ${contributors.length} clients that are known`,
    );
  }
  const factorization = factorizationOf(spec.privacy);
  const expectedReports = expectedReportsOf(spec);
  const mechanism = matrixMechanism({ grid: sum.grid, factorization, expectedReports }, noise);
  const step = await stepsTaken(store, spec);
  const drawn = await mechanism.draw(await loadNoiseState(store, task, spec.privacy, step));
  await store.takeNoiseStep({
    event: { roundId, taskId, charge, status: "reserved", reservedAt: clock.now() },
    step,
    participants: contributors,
    state: await encodeNoiseState(drawn.next),
  });
  return mechanism.release(sum.sum(), drawn);
}
