/** One user of a model at a time: trainers of several virtual clients may share one model object. */

import type { LayersModel } from "@tensorflow/tfjs-layers";

import { orAborted } from "../delay.ts";

/** Per model: resolves when its last user so far is done. Never rejects. */
const lastUse = new WeakMap<LayersModel, Promise<void>>();

/**
 * Runs `work` once all earlier work on the same model has ended.
 * @throws FederatedError ABORTED as soon as `signal` aborts while it waits; or what `work` threw
 */
export async function withModel<T>(
  model: LayersModel,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const earlier = lastUse.get(model) ?? Promise.resolve();
  let release = (): void => undefined;
  const own = new Promise<void>((resolve) => {
    release = resolve;
  });
  lastUse.set(
    model,
    earlier.then(() => own),
  );
  try {
    await orAborted(earlier, signal);
    return await work();
  } finally {
    release();
  }
}
