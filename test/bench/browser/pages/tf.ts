/** TensorFlow.js with the wasm backend, in a page or a Worker. */

import * as core from "@tensorflow/tfjs-core";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as layers from "@tensorflow/tfjs-layers";
import { setFirstBackend } from "@tributary/client-sdk/tfjs";

import type { Tf } from "./workload.ts";

let loading: Promise<Tf> | undefined;

/** Loaded once; the files of the backend lie under `/wasm/`. */
export function loadTf(): Promise<Tf> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Tf> {
  const tf = { ...core, ...layers } as unknown as Tf;
  setWasmPaths("/wasm/");
  await setFirstBackend(tf, [{ name: "wasm" }]);
  return tf;
}
