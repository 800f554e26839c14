/** What the coordinator says of a version under its signature. */

import type { Evaluation } from "@tributary/protocol";
import { encodeManifest, MANIFEST_FORMAT, parseRoundId } from "@tributary/protocol";

import type { LedgerEvent, ModelVersionRecord, TaskRecord, UnsignedVersion } from "../ports.ts";
import { privacyPromise } from "../round/budget.ts";

export type ParentVersion = Pick<ModelVersionRecord, "modelVersion" | "digest">;

/**
 * The text of a version's manifest.
 * @param ledger the task's, which may be ahead of the version; none for a task without privacy
 */
export function manifestOf(
  { spec, layout }: TaskRecord,
  version: UnsignedVersion,
  parent: ParentVersion | undefined,
  ledger: readonly LedgerEvent[],
): string {
  const { taskId, modelVersion, digest, bytes, roundNumber, createdAt, evaluation, copies } =
    version;
  const upToHere = ledger.filter(
    ({ roundId }) => parseRoundId(roundId).roundNumber <= (roundNumber ?? 0),
  );
  return encodeManifest({
    format: MANIFEST_FORMAT,
    taskId,
    modelVersion,
    digest,
    bytes,
    layoutDigest: layout.digest,
    ...(parent === undefined
      ? {}
      : { parent: { modelVersion: parent.modelVersion, digest: parent.digest } }),
    ...(roundNumber === undefined ? {} : { roundNumber }),
    createdAt: new Date(createdAt).toISOString(),
    ...(evaluation === undefined ? {} : { evaluation: withoutClasses(evaluation) }),
    privacy: privacyPromise(spec, upToHere, version),
    ...(copies === undefined ? {} : { copies }),
  });
}

/** A thousand classes would not fit, and the API has them. */
function withoutClasses(evaluation: Evaluation): Omit<Evaluation, "perClass"> {
  const { source, numExamples, loss, accuracy, macro } = evaluation;
  return {
    source,
    numExamples,
    loss,
    ...(accuracy === undefined ? {} : { accuracy }),
    ...(macro === undefined ? {} : { macro }),
  };
}
