/** Where updates are handed in: who may, and what of it is sound enough to be counted. */

import type { TaskId, TaskSpec } from "@tributary/protocol";
import { FederatedError, isFederatedError, maxFrameBytes, parseRoundId } from "@tributary/protocol";

import { validateNoisyUpdate } from "../aggregation/noisy-update.ts";
import type { SlotPool, UpdateSlot } from "../aggregation/update-slots.ts";
import { noSlots } from "../aggregation/update-slots.ts";
import { validateUpdate } from "../aggregation/validate-update.ts";
import type { AssignmentTokens } from "../clients/assignment-token.ts";
import { assertForRound, assertNotExpired } from "../clients/assignment-token.ts";
import type { Authenticator, Clock, ReceivedUpdate, TaskRecord, UpdateIntake } from "../ports.ts";
import type { RoundEngine } from "./engine.ts";

export interface IntakeDeps {
  readonly tokens: AssignmentTokens;
  readonly clock: Clock;
  /** Not everybody who got a token is still let in when it is used. */
  readonly authenticator: Pick<Authenticator, "assertAdmitted">;
  readonly engineOf: (taskId: TaskId) => RoundEngine | undefined;
}

export function createUpdateIntake(deps: IntakeDeps): UpdateIntake {
  const { tokens, clock, authenticator, engineOf } = deps;
  const requireEngine = (taskId: TaskId): RoundEngine => {
    const engine = engineOf(taskId);
    if (engine === undefined) throw new FederatedError("ROUND_NOT_FOUND", `no task "${taskId}"`);
    return engine;
  };
  return {
    admit: async (roundId, token, giveUp) => {
      const { taskId } = parseRoundId(roundId);
      // Strangers are not told which tasks there are.
      const claims = tokens.read(token);
      const engine = requireEngine(taskId);
      const { layout, spec } = engine.task();
      assertForRound(claims, roundId);
      await authenticator.assertAdmitted(claims.clientId);
      const participant = { roundId, taskId, clientId: claims.clientId };
      const end = () =>
        giveUp?.(
          new FederatedError(
            "UNAVAILABLE",
            "its round ended meanwhile; send it again to hear of it",
          ),
        );
      const receipt = await engine.uploadBegan(participant, end);
      // An open round ends by a clock that never jumps; only what comes after it is left to the wall clock.
      if (receipt !== undefined) assertNotExpired(claims, clock.now());
      const { encoding } = spec.plan;
      const maxBytes = maxFrameBytes(layout, encoding);
      if (receipt !== undefined) {
        const nothing = { slots: noSlots, leave: () => {} };
        return { participant, layout, encoding, maxBytes, receipt, ...nothing };
      }
      const { slots, giveBack } = lend((bytes) => engine.slotsOf(roundId).take(bytes));
      const leave = () => {
        giveBack();
        engine.uploadEnded(participant, end);
      };
      return { participant, layout, encoding, maxBytes, slots, leave };
    },
    report: async (participant, update) => {
      const engine = requireEngine(participant.taskId);
      // It may have been revoked while the update was on its way.
      await authenticator.assertAdmitted(participant.clientId);
      let norm: number;
      try {
        norm = assertSound(engine.task(), update);
      } catch (error) {
        if (isFederatedError(error)) await engine.refuse(participant, error.code);
        throw error;
      }
      return engine.report(participant, { ...update, norm });
    },
    refuse: (participant, code) => {
      // A note for the statistics; the sender has its answer already.
      engineOf(participant.taskId)
        ?.refuse(participant, code)
        .catch(() => undefined);
    },
  };
}

/** A pool that knows what was taken of it. */
function lend(take: SlotPool["take"]): { readonly slots: SlotPool; giveBack(): void } {
  const taken: UpdateSlot[] = [];
  return {
    slots: {
      take: (bytes) => {
        const slot = take(bytes);
        if (slot !== undefined) taken.push(slot);
        return slot;
      },
    },
    giveBack: () => {
      for (const slot of taken.splice(0)) slot.release();
    },
  };
}

/**
 * @returns the L2 norm of the delta
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH, UPDATE_NOT_FINITE, MALFORMED_MESSAGE
 */
function assertSound({ spec, layout }: TaskRecord, update: ReceivedUpdate): number {
  const { norm } = validateUpdate(update.delta, update.numExamples, layout);
  if (spec.privacy.mechanism === "local") {
    const { noiseMultiplier } = spec.privacy;
    const { clippingNorm = Number.NaN } = spec;
    validateNoisyUpdate({ ...update, norm }, { noiseMultiplier, clippingNorm });
  }
  assertEvaluation(spec, update);
  return norm;
}

/** @throws FederatedError MALFORMED_MESSAGE */
function assertEvaluation(spec: TaskSpec, { metrics: { evaluation } }: ReceivedUpdate): void {
  if (evaluation === undefined) return;
  if (spec.evaluation.kind !== "federated") {
    throw new FederatedError("MALFORMED_MESSAGE", "the plan asks for no evaluation; send none");
  }
  const classes = evaluation.truePositives.length;
  if (classes !== spec.evaluation.numClasses) {
    throw new FederatedError(
      "MALFORMED_MESSAGE",
      `the evaluation has ${classes} classes, the task ${spec.evaluation.numClasses}`,
    );
  }
  // One client must not outweigh all others by what it claims.
  if (evaluation.numExamples > MAX_EVALUATED_EXAMPLES) {
    throw new FederatedError(
      "MALFORMED_MESSAGE",
      `the evaluation claims ${evaluation.numExamples} examples; at most ${MAX_EVALUATED_EXAMPLES} count`,
    );
  }
  const meanLoss = evaluation.lossSum / evaluation.numExamples;
  if (!(meanLoss >= 0 && meanLoss <= MAX_MEAN_LOSS)) {
    throw new FederatedError(
      "MALFORMED_MESSAGE",
      `the evaluation's mean loss is ${meanLoss}; it must be from 0 to ${MAX_MEAN_LOSS}`,
    );
  }
}

/** Examples of one client's test split that may count: as many as default weighting takes. */
const MAX_EVALUATED_EXAMPLES = 10_000;
/** Far above any loss of a model that is worth evaluating, and far below what could overflow a sum. */
const MAX_MEAN_LOSS = 1e6;
