/** Checkpoints and optimizer states on disk against the versions that name them. Only reads. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Digest, SignedManifest } from "@tributary/protocol";
import {
  decodeCheckpoint,
  decodeServingCopy,
  FederatedError,
  isFederatedError,
  openManifest,
  sha256,
} from "@tributary/protocol";

import { decodeOptimizerState } from "../aggregation/server-optimizer.ts";
import type { TaskRecord, UnsignedVersion } from "../ports.ts";
import type { KeyRing } from "./seal.ts";
import { keyIdOf } from "./seal.ts";
import { blobFormat } from "./sealed-blobs.ts";
import type { Fault } from "./verify-task.ts";
import { reasonOf } from "./verify-task.ts";

/** Bytes of a file as they were put; undefined where they are damaged. */
type DecodeBlob = (digest: Digest, file: Uint8Array) => Uint8Array | undefined;

/**
 * A file under a key that is not at hand cannot be judged: that is no damage.
 * @throws FederatedError CONFIG_INVALID, when it is used on such a file
 */
export function decoderFor(keys: KeyRing | undefined): DecodeBlob {
  const { decode } = blobFormat(keys);
  const known = [keys?.current.keyId, keys?.previous?.keyId];
  return (digest, file) => {
    const keyId = keyIdOf(file);
    if (keyId === undefined || known.includes(keyId)) return decode(digest, file);
    throw new FederatedError(
      "CONFIG_INVALID",
      `checkpoint ${digest} is encrypted with key ${keyId}, and storage.encryptionKey is ${keys?.current.keyId ?? "not set"}: set it to that key`,
    );
  };
}

const MEND = "restore that file from a backup";

/** The blob, or what is wrong with its file. */
async function readBlob(
  directory: string,
  digest: Digest,
  decode: DecodeBlob,
): Promise<Uint8Array | string> {
  try {
    const file = await readFile(join(directory, digest.slice(0, 2), digest));
    const bytes = decode(digest, file);
    if (bytes === undefined) return "was changed, or belongs under another name";
    const found = await sha256(bytes);
    return found === digest ? bytes : `holds other bytes, of digest ${found}`;
  } catch (error) {
    if (isFederatedError(error)) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : reasonOf(error);
    return code === "ENOENT" ? "is missing" : `cannot be read: ${code}`;
  }
}

/** A version from before models were signed has no signature until the next start. */
export type MaybeSigned = UnsignedVersion & { readonly signed?: SignedManifest };

/** Everything that a version promises of its bytes. */
export async function faultsOfBytes(
  directory: string,
  { spec, layout, taskId }: TaskRecord,
  version: MaybeSigned,
  decode: DecodeBlob,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const { modelVersion, digest, optimizerState, signed } = version;
  const of = `version ${modelVersion} of task ${taskId}`;
  const frame = await readBlob(directory, digest, decode);
  const where = `checkpoint ${digest}`;
  if (typeof frame === "string") {
    faults.push({ where, message: `${frame}; it is ${of}: ${MEND}` });
  } else {
    try {
      const { modelVersion: inside } = decodeCheckpoint(layout, frame);
      if (inside !== modelVersion) {
        faults.push({
          where,
          message: `says it is version ${inside}, and is kept as ${of}: ${MEND}`,
        });
      }
    } catch (error) {
      faults.push({ where, message: `is no checkpoint of ${of}: ${reasonOf(error)}; ${MEND}` });
    }
    if (frame.length !== version.bytes) {
      faults.push({
        where,
        message: `has ${frame.length} bytes, ${of} says ${version.bytes}: ${MEND}`,
      });
    }
  }
  if (optimizerState !== undefined) {
    const state = await readBlob(directory, optimizerState, decode);
    const at = `optimizer state ${optimizerState}`;
    if (typeof state === "string")
      faults.push({ where: at, message: `${state}; ${of} needs it: ${MEND}` });
    else {
      try {
        decodeOptimizerState(state, spec.serverOptimizer.kind, layout.parameterCount);
      } catch (error) {
        faults.push({ where: at, message: `does not fit ${of}: ${reasonOf(error)}; ${MEND}` });
      }
    }
  }
  for (const [encoding, copy] of Object.entries(version.copies ?? {})) {
    const at = `${encoding} copy ${copy.digest}`;
    const bytes = await readBlob(directory, copy.digest, decode);
    if (typeof bytes === "string") {
      faults.push({ where: at, message: `${bytes}; it is of ${of}: ${MEND}` });
      continue;
    }
    try {
      const opened = decodeServingCopy(layout, bytes);
      if (opened.encoding === encoding && opened.modelVersion === modelVersion) continue;
      const message = `says it is version ${opened.modelVersion} as ${opened.encoding}, and is kept as ${of}: ${MEND}`;
      faults.push({ where: at, message });
    } catch (error) {
      faults.push({ where: at, message: `does not fit ${of}: ${reasonOf(error)}; ${MEND}` });
    }
  }
  if (signed !== undefined) {
    try {
      const { bytes } = version;
      await openManifest(signed, {
        taskId,
        modelVersion,
        digest,
        bytes,
        layoutDigest: layout.digest,
      });
    } catch (error) {
      faults.push({
        where: `signature of ${of}`,
        message: `${reasonOf(error)}; restore the data from a backup`,
      });
    }
  }
  return faults;
}
