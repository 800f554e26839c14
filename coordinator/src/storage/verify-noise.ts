/** What a matrix run remembers of its noise, against the steps that its ledger has. Only reads. */

import type { RoundId } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { LedgerEvent, TaskRecord } from "../ports.ts";
import { chargesThatCount } from "../privacy/ledger.ts";
import { loadNoiseState } from "../round/matrix-run.ts";
import type { KeyRing } from "./seal.ts";
import { keyIdOf } from "./seal.ts";
import { openSecret } from "./sealed-secrets.ts";
import type { Rows } from "./store.ts";
import { noiseStateName } from "./store.ts";
import type { Fault } from "./verify-task.ts";
import { reasonOf } from "./verify-task.ts";

/** @throws FederatedError CONFIG_INVALID for a state under a key that is not at hand */
export async function faultsOfNoise(
  rows: Pick<Rows, "secret">,
  { task, ledger }: { task: TaskRecord; ledger: ReadonlyMap<RoundId, LedgerEvent> },
  keys: KeyRing | undefined,
): Promise<Fault[]> {
  const { taskId, state, spec } = task;
  if (spec.privacy.mechanism !== "matrix" || state === "ended") return [];
  const step = chargesThatCount([...ledger.values()]).length;
  // A run whose last step is taken needs it no more.
  if (step >= spec.privacy.rounds) return [];
  const name = noiseStateName(taskId);
  const noiseState = async () => {
    const value = rows.secret(name);
    const keyId = value && keyIdOf(value);
    if (value === undefined || keyId === undefined) return value;
    const known = [keys?.current.keyId, keys?.previous?.keyId];
    if (keys !== undefined && known.includes(keyId)) {
      const opened = openSecret(keys, name, value);
      if (opened !== undefined) return opened;
      throw new FederatedError("INTERNAL", "the noise state was changed or belongs elsewhere");
    }
    throw new FederatedError(
      "CONFIG_INVALID",
      `the noise state of task "${taskId}" is encrypted with key ${keyId}, and storage.encryptionKey is ${keys?.current.keyId ?? "not set"}: set it to that key`,
    );
  };
  try {
    await loadNoiseState({ noiseState }, task, spec.privacy, step);
    return [];
  } catch (error) {
    if (error instanceof FederatedError && error.code === "CONFIG_INVALID") throw error;
    const message = `${reasonOf(error)}: the task ends with the next start; restore the data from a backup of this very step, or begin another run`;
    return [{ where: `noise of task ${taskId}`, message }];
  }
}
