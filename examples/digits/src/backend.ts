/** The TF.js backend of this process, chosen once. */

import type * as tensorflow from "@tensorflow/tfjs";
import { chooseBackend } from "@tributary/client-sdk/node";

export const BACKENDS = ["auto", "tensorflow", "wasm", "cpu"] as const;
/** `auto`: the fastest that loads. */
export type BackendChoice = (typeof BACKENDS)[number];

/** Loads and activates a backend. @returns its name @throws FederatedError when the wanted one does not load */
export async function prepareBackend(
  tf: typeof tensorflow,
  choice: BackendChoice = "auto",
): Promise<string> {
  // TF.js greets whoever runs it in Node, on every start; here the backend is shown anyway.
  tf.env().set("PROD", true);
  const { backend } = await chooseBackend({ tf, ...(choice === "auto" ? {} : { prefer: choice }) });
  return backend;
}
