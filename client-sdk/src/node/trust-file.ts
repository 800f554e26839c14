/** The keys that a coordinator is trusted with, in a file: read whole or refused, never taken for absent. */

import { readFile } from "node:fs/promises";

import { FederatedError } from "@tributary/protocol";

import type { TrustedKeys } from "../cache.ts";
import { readTrustedKeys } from "../stored-model.ts";
import { isCode, writeDurably } from "./durable-file.ts";

/**
 * @returns undefined only where there is no file
 * @throws FederatedError CONFIG_INVALID for a file that does not hold what was written to it
 */
export async function readTrust(path: string): Promise<TrustedKeys | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const keys = await parse(text);
  if (keys !== undefined) return keys;
  throw new FederatedError(
    "CONFIG_INVALID",
    `${path} should hold the keys that this coordinator is trusted with and is damaged; ` +
      "restore it, pin the keys instead (trust.publicKeys), or delete it to trust the next key that is seen",
  );
}

export const writeTrust = (path: string, keys: TrustedKeys): Promise<void> =>
  writeDurably(path, `${JSON.stringify(keys)}\n`);

async function parse(text: string): Promise<TrustedKeys | undefined> {
  try {
    return await readTrustedKeys(JSON.parse(text));
  } catch {
    return undefined;
  }
}
