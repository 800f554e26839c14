/**
 * What the store's own mutations put into the audit log: ids, counts and charges, nothing of any client.
 * Viewers read it and it cannot be told in parts, so of a task under privacy no count gets into it.
 */

import type { KeyRecord } from "@tributary/protocol";

import { reasonToTell } from "../events/monitoring-view.ts";
import type {
  AbandonedRoundRecord,
  AuditFact,
  LedgerEvent,
  ModelVersionRecord,
  RoundCommit,
  TaskRecord,
} from "../ports.ts";
import { factsOfCharge } from "./charge-record.ts";

type Kind = AuditFact["kind"];
type Facts = AuditFact["facts"];

/** Whoever asked for it has an entry of its own; what the store does, the coordinator does. */
const fact = (kind: Kind, facts: Facts): AuditFact => ({ kind, actor: "coordinator", facts });

export const creationFacts = (task: TaskRecord, initial: ModelVersionRecord): AuditFact[] => [
  fact("task:created", {
    taskId: task.taskId,
    layoutDigest: task.layout.digest,
    privacy: task.spec.privacy.mechanism,
  }),
  publicationFact(initial),
];

export const stateFact = ({ taskId, state, endReason }: TaskRecord): AuditFact =>
  fact("task:stateChanged", {
    taskId,
    state,
    ...(endReason === undefined ? {} : { reason: endReason }),
  });

const isPrivate = ({ spec }: TaskRecord): boolean => spec.privacy.mechanism !== "none";

/** @param charge the round's reserved charge */
export function commitFacts(
  task: TaskRecord,
  commit: RoundCommit,
  charge: LedgerEvent | undefined,
): AuditFact[] {
  const { round, version, reported, releaseLedger } = commit;
  const { roundId, modelVersion } = round;
  return [
    fact("round:committed", {
      roundId,
      modelVersion,
      ...(isPrivate(task) ? {} : { reported: reported.length }),
    }),
    publicationFact(version),
    ...(releaseLedger && charge !== undefined
      ? [chargeFact({ ...charge, status: "released" })]
      : []),
  ];
}

/** @param charge as it is settled by the abandonment */
export function abandonmentFacts(
  task: TaskRecord,
  { roundId, reason: full }: AbandonedRoundRecord,
  charge: LedgerEvent | undefined,
): AuditFact[] {
  const reason = reasonToTell(isPrivate(task), full);
  return [
    fact("round:abandoned", { roundId, ...(reason === undefined ? {} : { reason }) }),
    ...(charge === undefined ? [] : [chargeFact(charge)]),
  ];
}

const CHARGE_KIND = {
  reserved: "privacy:reserved",
  released: "privacy:released",
  void: "privacy:voided",
} as const satisfies Record<LedgerEvent["status"], Kind>;

export function chargeFact({ roundId, status, charge }: LedgerEvent): AuditFact {
  return fact(CHARGE_KIND[status], { roundId, ...factsOfCharge(charge) });
}

export const keyFact = ({ publicKey, previous }: KeyRecord): AuditFact =>
  fact("key:added", {
    publicKey,
    ...(previous === undefined ? {} : { previous: previous.publicKey }),
  });

const publicationFact = ({ taskId, modelVersion, digest }: ModelVersionRecord): AuditFact =>
  fact("model:published", { taskId, modelVersion, digest });
