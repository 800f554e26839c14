/** The stock wasm kernels behind a look at their operands: what they get wrong or do slowly is rewritten. */

import type { TensorInfo } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";
import {
  convolutionInfo,
  input,
  reshaped,
  stockKernel,
  type ConvolutionAttrs,
  type ConvolutionInfo,
  type Kernel,
} from "./wasm-kernel.ts";

/**
 * A matrix product whose transposes are explicit: XNNPACK serves untransposed operands only, and the
 * stock kernel falls back to plain loops for the others, which are most of a gradient.
 */
export function createMatMul(tf: TensorFlow): Kernel {
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
 * A convolution that pads its input itself where the stride is larger than the filter: XNNPACK's 'same'
 * differs from TensorFlow's there, silently.
 * @throws Error for a padding that TF.js itself gets wrong
 */
export function createSafeConvolution(tf: TensorFlow, name: string, depthwise: boolean): Kernel {
  const stock = stockKernel(tf, name);
  const padded = stockKernel(tf, "PadV2");
  return (backend, inputs, attrs) => {
    const geometry = attrs as ConvolutionAttrs;
    if (geometry.pad === "valid") return stock(backend, inputs, attrs);
    const x = input(inputs, "x");
    const info = convolutionInfo(tf, x.shape, input(inputs, "filter").shape, geometry, depthwise);
    refuseLopsidedPadding(geometry, info);
    if (!isHazardous(info)) return stock(backend, inputs, attrs);
    const { top, bottom, left, right } = info.padInfo;
    const unpadded = { ...attrs, pad: "valid", dimRoundingMode: undefined };
    if (top + bottom + left + right === 0) return stock(backend, inputs, unpadded);
    const paddings = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ];
    const wide = padded(backend, { x }, { paddings, constantValue: 0 });
    const result = stock(backend, { ...inputs, x: wide }, unpadded);
    backend.disposeData(wide.dataId);
    return result;
  };
}

const isHazardous = (info: ConvolutionInfo) =>
  info.strideHeight > info.effectiveFilterHeight || info.strideWidth > info.effectiveFilterWidth;

/**
 * For a padding given as one number, TF.js (4.22) works out the width from the filter's height and
 * the vertical stride; the wasm kernel would then write outside its output.
 */
function refuseLopsidedPadding({ pad }: ConvolutionAttrs, info: ConvolutionInfo): void {
  const isSquare =
    info.effectiveFilterHeight === info.effectiveFilterWidth &&
    info.strideHeight === info.strideWidth;
  if (typeof pad !== "number" || isSquare) return;
  throw new Error(
    `TF.js miscalculates padding ${pad} for a ${info.effectiveFilterHeight}x${info.effectiveFilterWidth} filter with strides ` +
      `${info.strideHeight}x${info.strideWidth}; use 'same', 'valid' or [[0, 0], [top, bottom], [left, right], [0, 0]]`,
  );
}
