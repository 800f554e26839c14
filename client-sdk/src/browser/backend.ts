/**
 * The choice of TensorFlow.js's backend in a page or Worker. What it takes to choose is loaded when somebody asks,
 * so that pages which train in a Worker do without.
 */

import type { LossOptions } from "../tfjs/loss.ts";
import type { TensorFlow } from "../tfjs/tensorflow.ts";
import type { TfjsTrainerOptions } from "../tfjs/tfjs-trainer.ts";

export type BrowserBackend = "wasm" | "webgpu" | "webgl" | "cpu";

/** A step as training will really take it; a GPU is timed with it. */
export interface BackendTrial extends LossOptions {
  /** Builds the model anew for each backend. */
  readonly model: Extract<TfjsTrainerOptions["model"], () => unknown>;
  /** Of which one batch is used. */
  readonly dataset: TfjsTrainerOptions["dataset"];
  /** As the task's plan has it. */
  readonly batchSize: number;
}

/** The packages are the app's, so that bundlers see their names: `() => import("@tensorflow/tfjs-backend-wasm")`. */
export interface ChooseBackendOptions<T extends TensorFlow> {
  /** The app's TensorFlow.js: the umbrella package, or `{ ...core, ...layers }`. */
  readonly tf: T;
  /** Loads `@tensorflow/tfjs-backend-wasm`. */
  readonly wasm?: () => Promise<{ setWasmPaths(paths: string | Record<string, string>): void }>;
  /** Where its files are: the URL of their folder, with "/" at its end, or a URL for each file's name. */
  readonly wasmPaths?: string | Readonly<Record<string, string>>;
  /** Loads `@tensorflow/tfjs-backend-webgpu`. Tried only with a `trial`, or where wasm does not work. */
  readonly webgpu?: () => Promise<unknown>;
  /** Loads `@tensorflow/tfjs-backend-webgl`; as `webgpu`. */
  readonly webgl?: () => Promise<unknown>;
  /** Loads `@tensorflow/tfjs-backend-cpu`: the last resort, and none for a model with convolutions or embeddings. */
  readonly cpu?: () => Promise<unknown>;
  readonly trial?: BackendTrial;
  /** Takes this one and no other. */
  readonly prefer?: BrowserBackend;
  /** Told the reason of the choice. */
  readonly log?: (reason: string) => void;
}

export interface ChosenBackend<T extends TensorFlow> {
  readonly tf: T;
  readonly backend: BrowserBackend;
  /** One sentence: what was taken, and why each other one was not. */
  readonly reason: string;
}

/**
 * Sets wasm on one thread, with the kernels that training needs; or a GPU that is no software and takes a step of
 * the trial in less time. For the whole page or Worker that calls it.
 * @throws FederatedError UNAVAILABLE when the preferred one, or every one, does not work
 */
export async function chooseBackend<T extends TensorFlow>(
  options: ChooseBackendOptions<T>,
): Promise<ChosenBackend<T>> {
  const { selectBackend } = await import("./select-backend.ts");
  const { backend, reason } = await selectBackend(options);
  options.log?.(reason);
  return { tf: options.tf, backend, reason };
}
