/** A client's place in an open round, as the message that it is sent. */

import type {
  Assignment,
  CheckpointRef,
  ClientId,
  TaskSpec,
  TrainingPlan,
} from "@tributary/protocol";
import { maxFrameBytes, routes } from "@tributary/protocol";

import type { AssignmentTokens } from "../clients/assignment-token.ts";
import type { Clock, TaskRecord } from "../ports.ts";
import { planClippingNorm } from "./clipping.ts";
import { isUploading, statusOf } from "./participants.ts";
import { participationLimitsOf } from "./participation.ts";
import type { RoundIdentity } from "./progress.ts";
import { mixSeed } from "./seed.ts";
import type { RoundState } from "./state.ts";
import { deadlineOf, participantsOf } from "./state.ts";

export interface AssignmentDeps {
  readonly tokens: AssignmentTokens;
  readonly clock: Clock;
}

/** A receipt can be asked for so long after the deadline. */
const TOKEN_GRACE_MS = 86_400_000;

/** What a client must add itself, and the budget that it keeps for that. */
function localNoiseOf({ privacy }: TaskSpec): Pick<TrainingPlan, "localNoise"> {
  if (privacy.mechanism !== "local") return {};
  const { noiseMultiplier, delta, maxEpsilon } = privacy;
  return { localNoise: { noiseMultiplier, delta, maxEpsilon } };
}

/** The client's assignment, or undefined when it has no place in the round that is worth anything now. */
export function assignmentFor(
  { tokens, clock }: AssignmentDeps,
  { spec, layout, taskId }: TaskRecord,
  round: { readonly identity: RoundIdentity; readonly state: RoundState },
  checkpoint: CheckpointRef,
  clientId: ClientId,
): Assignment | undefined {
  const { state, identity } = round;
  const participants = participantsOf(state);
  const status = statusOf(participants, clientId)?.kind;
  const reported = status === "reported";
  const reporting = state.phase === "reporting";
  // After the last call there is nothing left to begin.
  const isCalled =
    reporting && state.closesAt !== undefined && !isUploading(participants, clientId);
  const mayReport = reporting && !isCalled && (status === "pending" || status === "disconnected");
  const waitsForCommit = reported && (reporting || state.phase === "aggregating");
  if (!mayReport && !waitsForCommit) return undefined;
  const { roundId, roundNumber } = identity;
  const timeLeftMs = Math.max(0, (deadlineOf(state) ?? 0) - clock.monotonicMs());
  const deadline = clock.now() + timeLeftMs;
  const { seed, ...plan } = spec.plan;
  const clippingNorm = planClippingNorm(spec);
  const participation = participationLimitsOf(spec);
  return {
    taskId,
    roundId,
    roundNumber,
    plan: {
      ...plan,
      // Another order of the examples in every round, repeatable all the same.
      ...(seed === undefined ? {} : { seed: mixSeed(seed, roundNumber) }),
      ...(clippingNorm === undefined ? {} : { clippingNorm }),
      ...localNoiseOf(spec),
      ...(participation === undefined ? {} : { participation }),
      evaluate: spec.evaluation.kind === "federated",
    },
    checkpoint,
    update: {
      url: routes.update.path({ roundId }),
      token: tokens.sign({ roundId, clientId, expiresAt: deadline + TOKEN_GRACE_MS }),
      maxBytes: maxFrameBytes(layout, spec.plan.encoding),
    },
    deadlineAt: new Date(deadline).toISOString(),
    timeLeftMs,
    reported,
  };
}
