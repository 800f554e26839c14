/**
 * Makes the stock wasm backend (4.22) fit for training: adds the kernels that gradients need and it
 * lacks, replaces those that are silently wrong or needlessly slow. All are composed of its own
 * kernels or run on its heap; the tests hold them against the cpu backend.
 */

import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";
import { createFilterGradient, createInputGradient } from "./wasm-convolution-gradients.ts";
import {
  createDepthwiseFilterGradient,
  createDepthwiseInputGradient,
} from "./wasm-depthwise-gradients.ts";
import { createMaxPoolGradient, createSlice, segmentSum } from "./wasm-heap-kernels.ts";
import { registeredKernel, type Kernel, type WasmBackend } from "./wasm-kernel.ts";
import { createMatMul, createSafeConvolution } from "./wasm-safe-kernels.ts";

/** Set on a kernel function that is ours, so that a second copy of this package sees it, too. */
const MARK = Symbol.for("tributary.wasmKernel");

/**
 * Registers the kernels; calling it again changes nothing. Works before and after `setBackend`.
 * @throws Error when `@tensorflow/tfjs-backend-wasm` was not imported for this `tf`
 */
export function registerTrainingKernels(tf: TensorFlow): void {
  for (const name of ["Conv2D", "FusedConv2D"]) {
    replace(tf, name, () => createSafeConvolution(tf, name, false));
  }
  for (const name of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) {
    replace(tf, name, () => createSafeConvolution(tf, name, true));
  }
  replace(tf, "Slice", createSlice);
  replace(tf, "BatchMatMul", createMatMul);
  replace(tf, "MaxPoolGrad", createMaxPoolGradient);
  // Made of the kernels above.
  replace(tf, "Conv2DBackpropInput", createInputGradient);
  addMissing(tf, "Conv2DBackpropFilter", createFilterGradient);
  addMissing(tf, "DepthwiseConv2dNativeBackpropFilter", createDepthwiseFilterGradient);
  addMissing(tf, "DepthwiseConv2dNativeBackpropInput", createDepthwiseInputGradient);
  addMissing(tf, "UnsortedSegmentSum", () => segmentSum);
}

function addMissing(tf: TensorFlow, name: string, create: (tf: TensorFlow) => Kernel): void {
  if (registeredKernel(tf, name) !== undefined) return;
  tf.registerKernel({
    kernelName: name,
    backendName: "wasm",
    kernelFunc: asKernelFunc(create(tf)),
  });
}

function replace(tf: TensorFlow, name: string, create: (tf: TensorFlow) => Kernel): void {
  const stock = registeredKernel(tf, name);
  if (stock !== undefined && MARK in stock.kernelFunc) return;
  const kernelFunc = asKernelFunc(create(tf)); // Throws where the stock kernel is missing.
  tf.unregisterKernel(name, "wasm");
  tf.registerKernel({ kernelName: name, backendName: "wasm", ...stock, kernelFunc });
}

function asKernelFunc(kernel: Kernel): KernelConfig["kernelFunc"] {
  const run: KernelConfig["kernelFunc"] = ({ inputs, backend, attrs }) =>
    kernel(backend as WasmBackend, inputs as Readonly<Record<string, TensorInfo>>, attrs ?? {});
  return Object.assign(run, { [MARK]: true });
}
