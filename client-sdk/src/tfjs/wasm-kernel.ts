/** What composed kernels need of the wasm backend: its heap, and the kernels it has. */

import type {
  backend_util,
  KernelConfig,
  NamedAttrMap,
  TensorInfo,
  TypedArray,
} from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";

/** The part of `BackendWasm` used here. A heap view is stale after the next allocation. */
export interface WasmBackend {
  makeOutput(shape: number[], dtype: TensorInfo["dtype"]): TensorInfo;
  typedArrayFromHeap(tensor: TensorInfo): TypedArray;
  /** Frees one reference. */
  disposeData(dataId: TensorInfo["dataId"]): boolean;
}

export type Inputs = Readonly<Record<string, TensorInfo>>;

/** A kernel on tensor infos: the caller owns the result. */
export type Kernel = (backend: WasmBackend, inputs: Inputs, attrs: object) => TensorInfo;

export type ConvolutionInfo = ReturnType<typeof backend_util.computeConv2DInfo>;
export type PoolInfo = ReturnType<typeof backend_util.computePool2DInfo>;

/** Every dimension's padding, before and after, of an NHWC tensor. */
export type ExplicitPad = [[0, 0], [number, number], [number, number], [0, 0]];

export interface ConvolutionAttrs {
  readonly strides: [number, number] | number;
  readonly pad: "valid" | "same" | number | ExplicitPad;
  readonly dilations?: [number, number] | number;
  readonly dataFormat?: "NHWC" | "NCHW";
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

export type Shape4D = [number, number, number, number];

/** What the registry holds for wasm under this name. */
export function registeredKernel(tf: TensorFlow, name: string): KernelConfig | undefined {
  return tf.getKernelsForBackend("wasm").find((config) => config.kernelName === name);
}

/**
 * The kernel that the registry holds for wasm now.
 * @throws Error when the wasm backend was not imported
 */
export function stockKernel(tf: TensorFlow, name: string): Kernel {
  const config = registeredKernel(tf, name);
  if (config === undefined) {
    throw new Error(`the wasm backend has no ${name}; import @tensorflow/tfjs-backend-wasm first`);
  }
  const run = config.kernelFunc as (call: {
    inputs: Inputs;
    backend: WasmBackend;
    attrs: NamedAttrMap;
  }) => TensorInfo;
  return (backend, inputs, attrs) => run({ inputs, backend, attrs: attrs as NamedAttrMap });
}

/** An input by name. @throws Error when it is missing */
export function input(inputs: Inputs, name: string): TensorInfo {
  const tensor = inputs[name];
  if (tensor === undefined) throw new Error(`the kernel needs an input "${name}"`);
  return tensor;
}

/** The same data under another shape; owns nothing. */
export function reshaped(tensor: TensorInfo, shape: number[]): TensorInfo {
  return { dataId: tensor.dataId, dtype: tensor.dtype, shape };
}

/** A float32 tensor's heap, valid until the next allocation. @throws Error for another dtype */
export function floats(backend: WasmBackend, tensor: TensorInfo): Float32Array {
  const view = backend.typedArrayFromHeap(tensor);
  if (!(view instanceof Float32Array)) throw new Error(`expected float32, got ${tensor.dtype}`);
  return view;
}

/** A new float32 tensor of zeros; makes earlier heap views stale. */
export function zeros(backend: WasmBackend, shape: number[]): TensorInfo {
  const tensor = backend.makeOutput(shape, "float32");
  floats(backend, tensor).fill(0);
  return tensor;
}

/** Geometry of a 2-d convolution. @throws Error for channels first, which wasm cannot convolve */
export function convolutionInfo(
  tf: TensorFlow,
  inputShape: number[],
  filterShape: number[],
  attrs: ConvolutionAttrs,
  depthwise: boolean,
): ConvolutionInfo {
  const { strides, pad, dilations, dataFormat, dimRoundingMode } = attrs;
  if (dataFormat === "NCHW") {
    throw new Error("the wasm backend convolves NHWC only; build the model with channelsLast");
  }
  return tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
  );
}
