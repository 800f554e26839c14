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
 * A matrix product that gives XNNPACK what it is good at. It serves untransposed operands only (the
 * stock kernel falls back to plain loops for the others, which are most of a gradient), and it packs
 * the right operand anew for every new tensor, which costs more than the product itself when that is a
 * layer's weights and the left one a small batch. So transposes are explicit, and where it is cheaper
 * A B is worked out as (Bᵀ Aᵀ)ᵀ.
 */
export function createMatMul(tf: TensorFlow): Kernel {
  const stock = stockKernel(tf, "BatchMatMul");
  const transpose = stockKernel(tf, "Transpose");
  return (backend, inputs, attrs) => {
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const a = input(inputs, "a");
    const b = input(inputs, "b");
    if (!isMatrix(a) || !isMatrix(b)) return stock(backend, inputs, attrs);
    const owned: TensorInfo[] = [];
    const turn = (matrix: TensorInfo): TensorInfo => {
      const turned = transpose(backend, { x: matrix }, { perm: [1, 0] });
      owned.push(turned);
      return turned;
    };
    const multiply = (left: TensorInfo, right: TensorInfo) =>
      stock(backend, { a: left, b: right }, { transposeA: false, transposeB: false });
    const left = reshaped(a, a.shape.slice(-2));
    const right = reshaped(b, b.shape.slice(-2));
    let product: TensorInfo;
    if (isCheaperTurned(left, right, transposeA, transposeB)) {
      const turned = multiply(transposeB ? right : turn(right), transposeA ? left : turn(left));
      owned.push(turned);
      product = transpose(backend, { x: turned }, { perm: [1, 0] });
    } else {
      product = multiply(transposeA ? turn(left) : left, transposeB ? turn(right) : right);
    }
    for (const tensor of owned) backend.disposeData(tensor.dataId);
    const outer = a.shape.length > b.shape.length ? a.shape : b.shape;
    return reshaped(product, [...outer.slice(0, -2), ...product.shape]);
  };
}

/** Packing an element costs about as much as transposing four (measured, SIMD build of 4.22). */
const PACKING_COST = 4;

/** Compares the elements that are transposed and packed for A B with those for (Bᵀ Aᵀ)ᵀ. */
function isCheaperTurned(
  { shape: a }: TensorInfo,
  { shape: b }: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): boolean {
  const [aSize, bSize] = [a, b].map(([rows = 1, columns = 1]) => rows * columns) as [
    number,
    number,
  ];
  const productSize = (a[transposeA ? 1 : 0] ?? 1) * (b[transposeB ? 0 : 1] ?? 1);
  const plain = (transposeA ? aSize : 0) + (transposeB ? bSize : 0) + PACKING_COST * bSize;
  const turned =
    (transposeA ? 0 : aSize) + (transposeB ? 0 : bSize) + PACKING_COST * aSize + productSize;
  return turned < plain;
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
