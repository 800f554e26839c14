/** The chain of signing keys, and who of it signed which version. Only looks. */

import type { KeyRecord } from "@tributary/protocol";
import { followKeys } from "@tributary/protocol";

import type { UnsignedVersion } from "../ports.ts";
import type { MaybeSigned } from "./verify-blobs.ts";
import type { Fault } from "./verify-task.ts";

const RESTORE = "restore the data from a backup";

/** @param versions of one task or of many; those from before there were signatures are passed over */
export async function faultsOfKeys(
  keys: readonly KeyRecord[],
  versions: readonly MaybeSigned[],
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const [first] = keys;
  const last = keys.at(-1);
  if (first !== undefined && last !== undefined) {
    const path = await followKeys(keys, (key) => key === first.publicKey, last.publicKey);
    if (first.previous !== undefined || path?.length !== keys.length - 1) {
      faults.push({
        where: "signing keys",
        message: `are no unbroken chain from ${first.publicKey} to ${last.publicKey}, so no client could follow it; ${RESTORE}`,
      });
    }
  }
  const known = new Set(keys.map(({ publicKey }) => publicKey));
  const newest = new Map<UnsignedVersion["taskId"], MaybeSigned>();
  for (const version of versions) {
    const { taskId, modelVersion, signed } = version;
    if (signed === undefined) continue;
    if (modelVersion >= (newest.get(taskId)?.modelVersion ?? 0)) newest.set(taskId, version);
    if (known.has(signed.publicKey)) continue;
    faults.push({
      where: `signature of version ${modelVersion} of task ${taskId}`,
      message: `is by key ${signed.publicKey}, which is none of this store's; ${RESTORE}`,
    });
  }
  for (const { taskId, modelVersion, signed } of newest.values()) {
    if (signed === undefined || !known.has(signed.publicKey)) continue;
    if (signed.publicKey === last?.publicKey) continue;
    faults.push({
      where: `signature of version ${modelVersion} of task ${taskId}`,
      message: `is by key ${signed.publicKey}, which was replaced, and clients would refuse their newest model; ${RESTORE}`,
    });
  }
  return faults;
}
