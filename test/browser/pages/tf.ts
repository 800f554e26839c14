/** TensorFlow.js on the wasm backend, whose files the page server has under `/wasm/`. */

import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { setFirstBackend } from "@tributary/client-sdk/tfjs";

import type { Tf } from "./stripes.ts";

let loading: Promise<Tf> | undefined;

/** Loaded once; later calls get the same. */
export function loadTf(): Promise<Tf> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Tf> {
  const tf = { ...core, ...layers };
  const wasm = {
    name: "wasm",
    load: async () => {
      const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
      setWasmPaths("/wasm/");
    },
  };
  await setFirstBackend(tf, [wasm]);
  return tf;
}
