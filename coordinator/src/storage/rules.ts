/** What a store refuses, whatever it is built on: each rule looks at records and throws, or does nothing. */

import type { KeyRecord, RoundId, TaskId } from "@tributary/protocol";
import { FederatedError, isCharged, roundIdOf } from "@tributary/protocol";

import type {
  LedgerEvent,
  ModelVersionRecord,
  NoiseStep,
  OpenRoundRecord,
  RoundCommit,
  RoundRecord,
  TaskRecord,
} from "../ports.ts";
import { adaptiveClippingOf } from "../round/clipping.ts";
import type { Participation } from "../round/participation.ts";
import { stepsToWait } from "../round/participation.ts";
import { describeCharge } from "./charge-record.ts";

const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);

/** @throws FederatedError TASK_NOT_FOUND */
export function requireTask(taskId: TaskId, task: TaskRecord | undefined): TaskRecord {
  if (task !== undefined) return task;
  throw new FederatedError("TASK_NOT_FOUND", `the store has no task "${taskId}"`);
}

/** @throws FederatedError ROUND_NOT_FOUND, ROUND_CLOSED */
export function requireOpenRound(
  roundId: RoundId,
  round: RoundRecord | undefined,
): OpenRoundRecord {
  if (round === undefined) {
    throw new FederatedError("ROUND_NOT_FOUND", `the store has no round ${roundId}`);
  }
  if (round.phase === "committed" || round.phase === "abandoned") {
    throw new FederatedError("ROUND_CLOSED", `round ${roundId} was ${round.phase} already`);
  }
  return round;
}

/** @throws FederatedError TASK_EXISTS, MALFORMED_MESSAGE */
export function assertNewTask(
  task: TaskRecord,
  initial: ModelVersionRecord,
  existing: TaskRecord | undefined,
): void {
  if (existing !== undefined) {
    throw new FederatedError(
      "TASK_EXISTS",
      `there is a task "${task.taskId}" already; choose another id`,
    );
  }
  if (initial.taskId !== task.taskId || initial.modelVersion !== 0) {
    throw malformed(
      `task "${task.taskId}" must begin with its own version 0, got version ${initial.modelVersion} of "${initial.taskId}"`,
    );
  }
}

/**
 * A round that is new or open already, the only open one of its task, on a version that exists.
 * @throws FederatedError ROUND_CLOSED, MALFORMED_MESSAGE
 */
export function assertCanBeOpen(
  round: OpenRoundRecord,
  saved: RoundRecord | undefined,
  open: OpenRoundRecord | undefined,
  latest: ModelVersionRecord | undefined,
): void {
  const { roundId, taskId, roundNumber } = round;
  if (saved !== undefined) {
    requireOpenRound(roundId, saved);
    assertSameRound(saved, round);
    return;
  }
  if (roundId !== roundIdOf(taskId, roundNumber)) {
    throw malformed(`round ${roundNumber} of task "${taskId}" cannot have the id ${roundId}`);
  }
  if (open !== undefined) {
    throw malformed(
      `round ${roundId} cannot open while ${open.roundId} is open; commit or abandon that one first`,
    );
  }
  const latestVersion = latest?.modelVersion ?? -1;
  if (!(round.baseModelVersion >= 0 && round.baseModelVersion <= latestVersion)) {
    throw malformed(
      `round ${roundId} starts from version ${round.baseModelVersion}, the latest is ${latestVersion}`,
    );
  }
}

/** A round that was forgotten has ended, whatever else is known of it. @throws FederatedError ROUND_CLOSED */
export function assertNotDropped({ roundId, roundNumber }: OpenRoundRecord, upTo: number): void {
  if (roundNumber > upTo) return;
  throw new FederatedError("ROUND_CLOSED", `round ${roundId} has ended and is not kept any more`);
}

/** What identifies a round does not change while it is open, nor when it ends. */
export function assertSameRound(saved: RoundRecord, next: RoundRecord): void {
  for (const key of ["taskId", "roundNumber", "baseModelVersion"] as const) {
    if (saved[key] !== next[key]) {
      throw malformed(
        `round ${saved.roundId} has ${key} ${saved[key]} in the store, got ${next[key]}`,
      );
    }
  }
}

/**
 * The commit makes the next version out of the open round, and is paid for where it must be.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function assertCanCommit(
  { round, version, releaseLedger }: RoundCommit,
  saved: OpenRoundRecord,
  task: TaskRecord,
  latest: ModelVersionRecord | undefined,
  event: LedgerEvent | undefined,
): void {
  assertSameRound(saved, round);
  const { roundId } = round;
  const next = (latest?.modelVersion ?? -1) + 1;
  if (version.modelVersion !== next) {
    throw malformed(
      `round ${roundId} must make version ${next} of task "${round.taskId}", got ${version.modelVersion}`,
    );
  }
  if (version.taskId !== round.taskId || version.roundNumber !== round.roundNumber) {
    throw malformed(
      `round ${roundId} made a version of round ${version.roundNumber ?? "none"} of task "${version.taskId}"`,
    );
  }
  if (round.modelVersion !== version.modelVersion) {
    throw malformed(
      `round ${roundId} says it made version ${round.modelVersion}, its version is ${version.modelVersion}`,
    );
  }
  const clipping = adaptiveClippingOf(task.spec);
  if ((clipping === undefined) !== (version.clippingNorm === undefined)) {
    throw malformed(
      `round ${roundId} made a version with the clipping norm ${version.clippingNorm ?? "none"}, ` +
        `its task ${clipping === undefined ? "has a fixed one" : "needs one for the next round"}`,
    );
  }
  if (releaseLedger && event?.status !== "reserved") {
    throw malformed(
      `round ${roundId} cannot be released: its charge is ${event?.status ?? "absent"} in the ledger, not reserved`,
    );
  }
  if (!releaseLedger && (event !== undefined || isCharged(task.spec))) {
    throw malformed(
      `round ${roundId} is under differential privacy and must release its charge with the version`,
    );
  }
}

/**
 * A charge may be reserved for an open round only, and is never rewritten.
 * @throws FederatedError ROUND_NOT_FOUND, ROUND_CLOSED, MALFORMED_MESSAGE
 */
export function assertCanReserve(
  event: LedgerEvent,
  round: RoundRecord | undefined,
  reserved: LedgerEvent | undefined,
): void {
  const { roundId, taskId } = requireOpenRound(event.roundId, round);
  if (event.status !== "reserved" || event.taskId !== taskId) {
    throw malformed(
      `the charge of round ${roundId} must be reserved, for task "${taskId}"; got ${event.status}, for "${event.taskId}"`,
    );
  }
  if (reserved !== undefined && !isSameCharge(reserved, event)) {
    throw malformed(
      `round ${roundId} has another charge reserved: ${describe(reserved)}, got ${describe(event)}`,
    );
  }
}

/** @throws FederatedError MALFORMED_MESSAGE for a charge that belongs to a step, which must come with it */
export function assertChargedAlone({ roundId, charge }: LedgerEvent): void {
  if (charge.mechanism !== "matrix") return;
  throw malformed(`the charge of round ${roundId} is of a matrix run, and reserved with its step`);
}

/**
 * The step is the run's next one, nothing of it is there yet, and each participant is in it once and may be.
 * @param taken steps of the task so far
 * @param known of each participant
 * @param reserved the charge that the round has already
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function assertCanTakeStep(
  { event, step, participants }: NoiseStep,
  { taskId, spec }: TaskRecord,
  taken: number,
  known: readonly (Participation | undefined)[],
  reserved: LedgerEvent | undefined,
): void {
  const { privacy } = spec;
  const what = `step ${step} of task "${taskId}"`;
  if (privacy.mechanism !== "matrix" || event.charge.mechanism !== "matrix") {
    throw malformed(`${what}: its privacy is "${privacy.mechanism}", which takes no steps`);
  }
  if (event.charge.noiseMultiplier !== privacy.noiseMultiplier) {
    throw malformed(
      `${what} is charged with noise ${event.charge.noiseMultiplier}, the run has ${privacy.noiseMultiplier}`,
    );
  }
  if (reserved !== undefined) {
    throw malformed(`${what} cannot be taken in round ${event.roundId}, which has taken one`);
  }
  if (step !== taken || !(step < privacy.rounds)) {
    throw malformed(`${what} cannot be taken: ${taken} of ${privacy.rounds} are`);
  }
  // The same client twice would be twice in the sum, and once in its count.
  if (new Set(participants).size !== participants.length) {
    throw malformed(`${what} has a participant twice`);
  }
  const early = known.filter((one) => stepsToWait(one, step, privacy) > 0).length;
  if (early > 0) {
    throw malformed(
      `${what} has ${early} participants that were in a step less than ${privacy.minSeparation} before it, or in ${privacy.maxParticipations} already`,
    );
  }
}

/**
 * Signing keys are one chain: each is handed over to by the one before.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function assertNextKey(key: KeyRecord, newest: KeyRecord | undefined): void {
  if (key.previous?.publicKey === newest?.publicKey) return;
  throw malformed(
    `signing key ${key.publicKey} follows ${key.previous?.publicKey ?? "none"}, the newest is ${newest?.publicKey ?? "none"}`,
  );
}

const isSameCharge = (a: LedgerEvent, b: LedgerEvent) => describe(a) === describe(b);

const describe = ({ charge }: LedgerEvent) => describeCharge(charge);
