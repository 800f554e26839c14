/** Sets the first backend of a list that really computes, and says why each one before it did not. */

import { FederatedError } from "@tributary/protocol";

import type { TensorFlow } from "./tensorflow.ts";
import { registerTrainingKernels } from "./wasm-training-kernels.ts";

export interface BackendCandidate {
  /** Name under which TF.js knows it: `tensorflow`, `wasm`, `cpu`, `webgl`, `webgpu`. */
  readonly name: string;
  /** Loads and registers it; a throw means that it cannot be had. */
  readonly load?: () => Promise<unknown>;
}

export interface BackendChoice {
  readonly backend: string;
  /** One sentence: what was taken, and why each candidate before it was not. */
  readonly reason: string;
}

/**
 * Sets the first candidate that loads, starts and computes. The wasm backend runs on one thread (with
 * more it is slower, and hangs on cross-origin-isolated pages) and gets the kernels training needs.
 * @throws FederatedError UNAVAILABLE when none works, with every reason
 */
export async function setFirstBackend(
  tf: TensorFlow,
  candidates: readonly BackendCandidate[],
): Promise<BackendChoice> {
  const failures: string[] = [];
  for (const candidate of candidates) {
    try {
      await startBackend(tf, candidate);
      const others = failures.length === 0 ? "" : ` (${failures.join("; ")})`;
      return { backend: candidate.name, reason: `${candidate.name} computes${others}` };
    } catch (error) {
      failures.push(`${candidate.name} was not taken: ${firstLine(error)}`);
    }
  }
  throw new FederatedError("UNAVAILABLE", `no TensorFlow.js backend works: ${failures.join("; ")}`);
}

/** @throws Error when the candidate cannot be loaded, does not start or computes nonsense */
export async function startBackend(
  tf: TensorFlow,
  { name, load }: BackendCandidate,
): Promise<void> {
  await load?.();
  if (name === "wasm") {
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    registerTrainingKernels(tf);
  }
  if (!(await tf.setBackend(name))) throw new Error("it failed to start");
  await tf.ready();
  const sum = tf.tidy(() => tf.sum(tf.square(tf.tensor([3, 4]))));
  const [value] = await sum.data<"float32">();
  sum.dispose();
  if (value !== 25) throw new Error(`it computes 3² + 4² = ${value ?? "nothing"}`);
}

/** Native loaders write pages; the first line says what is wrong. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split("\n")[0] ?? "").trim();
}
