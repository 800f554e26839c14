/** A client's secret in a file of its owner's, so that a restarted program is the same client. */

import { readFile } from "node:fs/promises";

import { CLIENT_KEY_PATTERN, FederatedError } from "@tributary/protocol";

import { createClientKey } from "../client-key.ts";
import { createDurably, isCode } from "./durable-file.ts";

const KEY = new RegExp(CLIENT_KEY_PATTERN);

async function readKey(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const key = text.trim();
  if (KEY.test(key)) return key;
  throw new FederatedError(
    "CONFIG_INVALID",
    `${file} holds no client key (43 characters of base64url); restore it, or delete it to become a new client`,
  );
}

/**
 * The key in `file`; on first use makes one, readable and writable by its owner only (mode 0600).
 * Two programs that start at once get the same key.
 * @throws FederatedError CONFIG_INVALID when the file holds something else, which is left as it is
 */
export async function loadClientKey(file: string): Promise<string> {
  const held = await readKey(file);
  if (held !== undefined) return held;
  const key = createClientKey();
  if (await createDurably(file, `${key}\n`, 0o600)) return key;
  const other = await readKey(file);
  if (other !== undefined) return other;
  throw new FederatedError("CONFIG_INVALID", `${file} was removed while it was being read`);
}
