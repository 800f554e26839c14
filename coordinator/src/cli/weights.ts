/** Files of raw weights: little-endian float32 in layout order, nothing else. */

import { readFile } from "node:fs/promises";

import { FederatedError } from "@tributary/protocol";

/** @throws FederatedError CONFIG_INVALID when the file cannot be read or cannot hold float32 values */
export async function readWeights(file: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FederatedError("CONFIG_INVALID", `cannot read the weights ${file}: ${reason}`, {
      cause: error,
    });
  }
  if (bytes.length % 4 === 0) return bytes;
  throw new FederatedError(
    "CONFIG_INVALID",
    `${file} has ${bytes.length} bytes, which is no whole number of float32 values`,
  );
}
