/**
 * Gradients of conv2d as convolutions, since XNNPACK's forward kernel is the fastest thing that the
 * wasm backend has. Shapes are NHWC; filters [height, width, in, out].
 *
 * With padding p, stride s:  y[i] = sum_k x[i s + k - p] W[k].
 * Filter:  dW[k] = sum_i x[i s + k - p] dy[i], a convolution of x with dy as the filter, dilated by s,
 * channels of x as the batch and the batch as channels.
 * Input:   dx[j] = sum_k dy[(j + p - k) / s] W[k], a convolution of dy, spread out by s, with W flipped.
 */

import type { TensorInfo } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";
import {
  convolutionInfo,
  floats,
  input,
  stockKernel,
  zeros,
  type ConvolutionAttrs,
  type ExplicitPad,
  type Kernel,
  type Shape4D,
  type WasmBackend,
} from "./wasm-kernel.ts";

/** Conv2DBackpropFilter, which the stock backend lacks. */
export function createFilterGradient(tf: TensorFlow): Kernel {
  const conv2d = stockKernel(tf, "Conv2D");
  const transpose = stockKernel(tf, "Transpose");
  const slice = stockKernel(tf, "Slice");
  return (backend, inputs, attrs) => {
    const { filterShape, ...geometry } = attrs as ConvolutionAttrs & { filterShape: Shape4D };
    const x = input(inputs, "x");
    const info = convolutionInfo(tf, x.shape, filterShape, geometry, false);
    const rows = span(info.inHeight, info.padInfo.top, info.outHeight, info.strideHeight);
    const columns = span(info.inWidth, info.padInfo.left, info.outWidth, info.strideWidth);
    const owned: TensorInfo[] = [];
    const own = (tensor: TensorInfo) => {
      owned.push(tensor);
      return tensor;
    };
    const vertical = rows(info.filterHeight);
    const horizontal = columns(info.filterWidth);
    // Windows that saw nothing but padding teach nothing.
    if (vertical.used < 1 || horizontal.used < 1) return zeros(backend, [...filterShape]);
    // Rows and columns that no window reaches would become rows of a larger dW.
    const isWhole = vertical.used === info.inHeight && horizontal.used === info.inWidth;
    const size = [info.batchSize, vertical.used, horizontal.used, info.inChannels];
    const reached = isWhole ? x : own(slice(backend, { x }, { begin: [0, 0, 0, 0], size }));
    const images = own(transpose(backend, { x: reached }, { perm: [3, 1, 2, 0] }));
    const dy = input(inputs, "dy");
    const filter = own(transpose(backend, { x: dy }, { perm: [1, 2, 0, 3] }));
    const pad: ExplicitPad = [[0, 0], vertical.pad, horizontal.pad, [0, 0]];
    const dilations = [info.strideHeight, info.strideWidth];
    const gradient = own(
      conv2d(
        backend,
        { x: images, filter },
        { strides: [1, 1], dilations, pad, dataFormat: "NHWC" },
      ),
    );
    const result = transpose(backend, { x: gradient }, { perm: [1, 2, 0, 3] });
    for (const tensor of owned) backend.disposeData(tensor.dataId);
    return result;
  };
}

/** How many input rows the windows reach, and the padding that makes dW exactly `filter` rows high. */
function span(inputSize: number, before: number, outputs: number, stride: number) {
  return (filter: number): { used: number; pad: [number, number] } => {
    const reach = (outputs - 1) * stride + filter - before;
    return { used: Math.min(inputSize, reach), pad: [before, Math.max(0, reach - inputSize)] };
  };
}

/**
 * Conv2DBackpropInput. The stock kernel does the same in plain loops.
 */
export function createInputGradient(tf: TensorFlow): Kernel {
  const conv2d = stockKernel(tf, "Conv2D");
  const transpose = stockKernel(tf, "Transpose");
  const reverse = stockKernel(tf, "Reverse");
  const slice = stockKernel(tf, "Slice");
  return (backend, inputs, attrs) => {
    const { inputShape, ...geometry } = attrs as ConvolutionAttrs & { inputShape: Shape4D };
    const dy = input(inputs, "dy");
    const filter = input(inputs, "filter");
    const info = convolutionInfo(tf, inputShape, filter.shape, geometry, false);
    const { strideHeight, strideWidth, padInfo, filterHeight, filterWidth } = info;
    const vertical = fullPad(
      info.inHeight,
      padInfo.top,
      info.outHeight,
      strideHeight,
      filterHeight,
    );
    const horizontal = fullPad(info.inWidth, padInfo.left, info.outWidth, strideWidth, filterWidth);
    const owned: TensorInfo[] = [];
    const own = (tensor: TensorInfo) => {
      owned.push(tensor);
      return tensor;
    };
    const isDense = strideHeight === 1 && strideWidth === 1;
    let spread = isDense ? dy : own(spreadOut(backend, dy, strideHeight, strideWidth));
    if (Math.min(...vertical, ...horizontal) < 0) {
      // Outputs that saw nothing but padding have no part in dx.
      const [batch, height, width, channels] = spread.shape as Shape4D;
      const size = [batch, height + cut(vertical), width + cut(horizontal), channels];
      if (Math.min(...size) < 1) {
        for (const tensor of owned) backend.disposeData(tensor.dataId);
        return zeros(backend, [...inputShape]);
      }
      const begin = [0, Math.max(0, -vertical[0]), Math.max(0, -horizontal[0]), 0];
      spread = own(slice(backend, { x: spread }, { begin, size }));
    }
    const flipped = own(reverse(backend, { x: filter }, { dims: [0, 1] }));
    const swapped = own(transpose(backend, { x: flipped }, { perm: [0, 1, 3, 2] }));
    const pad: ExplicitPad = [[0, 0], notBelowZero(vertical), notBelowZero(horizontal), [0, 0]];
    const options = { strides: [1, 1], dilations: [1, 1], pad, dataFormat: "NHWC" };
    const result = conv2d(backend, { x: spread, filter: swapped }, options);
    for (const tensor of owned) backend.disposeData(tensor.dataId);
    return result;
  };
}

const cut = ([before, after]: [number, number]) => Math.min(0, before) + Math.min(0, after);

const notBelowZero = ([before, after]: [number, number]): [number, number] => [
  Math.max(0, before),
  Math.max(0, after),
];

/** Padding of the spread-out dy for which the flipped convolution has the input's size. */
function fullPad(
  inputSize: number,
  before: number,
  outputs: number,
  stride: number,
  filter: number,
): [number, number] {
  const spreadSize = (outputs - 1) * stride + 1;
  return [filter - 1 - before, inputSize + before - spreadSize];
}

/** dy with stride - 1 rows and columns of zeros between its own. */
function spreadOut(
  backend: WasmBackend,
  dy: TensorInfo,
  strideHeight: number,
  strideWidth: number,
) {
  const [batch, height, width, channels] = dy.shape as Shape4D;
  const spreadHeight = (height - 1) * strideHeight + 1;
  const spreadWidth = (width - 1) * strideWidth + 1;
  const spread = zeros(backend, [batch, spreadHeight, spreadWidth, channels]);
  const target = floats(backend, spread);
  const source = floats(backend, dy);
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const from = ((n * height + row) * width + column) * channels;
        const to =
          ((n * spreadHeight + row * strideHeight) * spreadWidth + column * strideWidth) * channels;
        target.set(source.subarray(from, from + channels), to);
      }
    }
  }
  return spread;
}
