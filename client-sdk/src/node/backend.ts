/** Chooses TensorFlow.js's backend in Node: libtensorflow, else WebAssembly, else plain JavaScript. */

import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";

import { setFirstBackend, type BackendCandidate } from "../tfjs/backend.ts";
import type { TensorFlow } from "../tfjs/tensorflow.ts";

export type NodeBackend = "tensorflow" | "wasm" | "cpu";

export interface ChooseBackendOptions<T extends TensorFlow> {
  /** The app's TensorFlow.js: the umbrella package, or `{ ...core, ...layers }`. */
  readonly tf: T;
  /** Takes this one and no other. */
  readonly prefer?: NodeBackend;
  /** Told the reason of the choice. */
  readonly log?: (reason: string) => void;
}

export interface ChosenBackend<T extends TensorFlow> {
  readonly tf: T;
  readonly backend: NodeBackend;
  /** What was taken, and why each faster one was not. */
  readonly reason: string;
}

const require = createRequire(import.meta.url);

/** Fastest first. */
const CANDIDATES: readonly (BackendCandidate & { readonly name: NodeBackend })[] = [
  { name: "tensorflow", load: loadTensorflow },
  { name: "wasm", load: loadWasm },
  { name: "cpu", load: () => import("@tensorflow/tfjs-backend-cpu") },
];

/**
 * Sets the fastest backend that works for the whole process, or the one preferred.
 * @throws FederatedError UNAVAILABLE when the preferred one, or every one, does not work
 */
export async function chooseBackend<T extends TensorFlow>(
  options: ChooseBackendOptions<T>,
): Promise<ChosenBackend<T>> {
  const { tf, prefer, log } = options;
  const candidates = CANDIDATES.filter(({ name }) => prefer === undefined || name === prefer);
  const { backend, reason } = await setFirstBackend(tf, candidates);
  log?.(reason);
  return { tf, backend: backend as NodeBackend, reason };
}

/** The name is no literal, so that no bundler and no type check asks for an optional package. */
async function loadTensorflow(): Promise<void> {
  // tfjs-node 4.22 calls two functions that Node 23 removed.
  const legacy = require("node:util") as {
    isArray?: (value: unknown) => boolean;
    isNullOrUndefined?: (value: unknown) => boolean;
  };
  legacy.isArray ??= Array.isArray;
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  const name = ["@tensorflow", "tfjs-node"].join("/");
  await import(name);
}

async function loadWasm(): Promise<void> {
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const packageFile = require.resolve("@tensorflow/tfjs-backend-wasm/package.json");
  setWasmPaths(join(dirname(packageFile), "dist") + sep);
}
