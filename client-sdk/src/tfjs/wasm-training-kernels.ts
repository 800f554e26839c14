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
import {
  convolutionInfo,
  input,
  registeredKernel,
  reshaped,
  stockKernel,
  type ConvolutionAttrs,
  type Kernel,
  type WasmBackend,
} from "./wasm-kernel.ts";

/** Set on a kernel function that is ours, so that a second copy of this package sees it, too. */
const MARK = Symbol.for("tributary.wasmKernel");

/**
 * Registers the kernels; calling it again changes nothing. Works before and after `setBackend`.
 * @throws Error when `@tensorflow/tfjs-backend-wasm` was not imported for this `tf`
 */
export function registerTrainingKernels(tf: TensorFlow): void {
  addMissing(tf, "Conv2DBackpropFilter", createFilterGradient);
  addMissing(tf, "DepthwiseConv2dNativeBackpropFilter", createDepthwiseFilterGradient);
  addMissing(tf, "DepthwiseConv2dNativeBackpropInput", createDepthwiseInputGradient);
  addMissing(tf, "UnsortedSegmentSum", () => segmentSum);
  replace(tf, "MaxPoolGrad", createMaxPoolGradient);
  replace(tf, "Conv2DBackpropInput", createInputGradient);
  replace(tf, "Slice", createSlice);
  replace(tf, "BatchMatMul", createMatMul);
  for (const name of ["Conv2D", "FusedConv2D"]) {
    replace(tf, name, () => createExactlyPadded(tf, name, false));
  }
  for (const name of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) {
    replace(tf, name, () => createExactlyPadded(tf, name, true));
  }
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

/**
 * A matrix product whose transposes are explicit: XNNPACK serves untransposed operands only, and the
 * stock kernel falls back to plain loops for the others, which are most of a gradient.
 */
function createMatMul(tf: TensorFlow): Kernel {
  const stock = stockKernel(tf, "BatchMatMul");
  const transpose = stockKernel(tf, "Transpose");
  return (backend, inputs, attrs) => {
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const a = input(inputs, "a");
    const b = input(inputs, "b");
    if ((!transposeA && !transposeB) || !isMatrix(a) || !isMatrix(b)) {
      return stock(backend, inputs, attrs);
    }
    const turned: TensorInfo[] = [];
    const turn = (tensor: TensorInfo): TensorInfo => {
      const outer = tensor.shape.slice(0, -2);
      const x = reshaped(tensor, tensor.shape.slice(-2));
      const result = transpose(backend, { x }, { perm: [1, 0] });
      turned.push(result);
      return reshaped(result, [...outer, ...result.shape]);
    };
    const operands = { a: transposeA ? turn(a) : a, b: transposeB ? turn(b) : b };
    const product = stock(backend, operands, { transposeA: false, transposeB: false });
    for (const tensor of turned) backend.disposeData(tensor.dataId);
    return product;
  };
}

const isMatrix = ({ shape }: TensorInfo) =>
  shape.slice(0, -2).every((dimension) => dimension === 1);

/**
 * A convolution whose padding is spelled out where the stride exceeds the filter: there XNNPACK's own
 * 'same' differs from TensorFlow's, and the stock kernel is silently wrong.
 */
function createExactlyPadded(tf: TensorFlow, name: string, depthwise: boolean): Kernel {
  const stock = stockKernel(tf, name);
  return (backend, inputs, attrs) => {
    const geometry = attrs as ConvolutionAttrs;
    if (geometry.pad !== "same") return stock(backend, inputs, attrs);
    const x = input(inputs, "x");
    const info = convolutionInfo(tf, x.shape, input(inputs, "filter").shape, geometry, depthwise);
    const { effectiveFilterHeight, effectiveFilterWidth, strideHeight, strideWidth } = info;
    if (strideHeight <= effectiveFilterHeight && strideWidth <= effectiveFilterWidth) {
      return stock(backend, inputs, attrs);
    }
    const { top, bottom, left, right } = info.padInfo;
    const pad = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ];
    return stock(backend, inputs, { ...attrs, pad });
  };
}
