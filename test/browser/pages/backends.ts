/** The choice of a backend as apps make it, in a page or a Worker, and one training on what was chosen. */

import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { chooseBackend } from "@tributary/client-sdk/browser";

import { makeModel, makeStripes } from "./stripes.ts";

export interface Picked {
  readonly backend: string;
  readonly reason: string;
}

export async function pickBackend(): Promise<Picked> {
  const tf = { ...core, ...layers };
  const { backend, reason } = await chooseBackend({
    tf,
    wasm: () => import("@tensorflow/tfjs-backend-wasm"),
    wasmPaths: "/wasm/",
    webgl: () => import("@tensorflow/tfjs-backend-webgl"),
    webgpu: async () => undefined,
    trial: { model: () => makeModel(tf), dataset: makeStripes(1, 16), batchSize: 8 },
  });
  return { backend, reason };
}
