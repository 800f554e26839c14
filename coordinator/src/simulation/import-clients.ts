/** The module that brings clients, imported where they train. */

import { extname } from "node:path";
import { pathToFileURL } from "node:url";

import { FederatedError } from "@tributary/protocol";
import { createJiti } from "jiti";

/** What node runs as it is: TensorFlow.js, say, would take ten times as long by way of a transformer. */
const NATIVE: readonly string[] = [".js", ".mjs", ".cjs"];

/** @throws FederatedError CONFIG_INVALID when it cannot be read or run */
export async function importClients(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    if (NATIVE.includes(extname(file))) {
      return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    }
    return await createJiti(file, { interopDefault: false }).import<Record<string, unknown>>(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FederatedError("CONFIG_INVALID", `cannot load ${file}: ${reason}`, { cause: error });
  }
}
