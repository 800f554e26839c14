/** Kernels that move or add rows directly in the wasm heap. */

import type { TensorInfo } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";
import {
  floats,
  input,
  stockKernel,
  zeros,
  type ConvolutionAttrs,
  type Kernel,
  type PoolInfo,
  type Shape4D,
} from "./wasm-kernel.ts";

/**
 * UnsortedSegmentSum, the gradient of gather and so of embedding, which the stock backend lacks:
 * row i of x is added to row ids[i] of the result. Ids outside the segments are dropped.
 */
export const segmentSum: Kernel = (backend, inputs, attrs) => {
  const { numSegments } = attrs as { numSegments: number };
  const x = input(inputs, "x");
  const segmentIds = input(inputs, "segmentIds");
  const rowShape = x.shape.slice(segmentIds.shape.length);
  const rowSize = rowShape.reduce((size, dimension) => size * dimension, 1);
  const result = zeros(backend, [numSegments, ...rowShape]);
  const sums = floats(backend, result);
  const source = floats(backend, x);
  const ids = backend.typedArrayFromHeap(segmentIds);
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row] as number;
    if (segment < 0 || segment >= numSegments) continue;
    const from = row * rowSize;
    const to = segment * rowSize;
    for (let i = 0; i < rowSize; i++) {
      sums[to + i] = (sums[to + i] as number) + (source[from + i] as number);
    }
  }
  return result;
};

/** Slice, without the stock kernel's copy of the whole source. */
export function createSlice(tf: TensorFlow): Kernel {
  const stock = stockKernel(tf, "Slice");
  return (backend, inputs, attrs) => {
    const x = input(inputs, "x");
    if (x.dtype === "string" || x.shape.length === 0) return stock(backend, inputs, attrs);
    const { begin, size } = attrs as { begin: number[]; size: number[] };
    const [from, extent] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
    const result = backend.makeOutput(extent, x.dtype);
    copyBlock(
      backend.typedArrayFromHeap(x),
      x.shape,
      from,
      backend.typedArrayFromHeap(result),
      extent,
    );
    return result;
  };
}

type Heap = ReturnType<Parameters<Kernel>[0]["typedArrayFromHeap"]>;

/** Copies the block of `extent` that starts at `from`, a run of contiguous elements at a time. */
function copyBlock(source: Heap, shape: number[], from: number[], target: Heap, extent: number[]) {
  if (target.length === 0) return;
  // The inner dimensions that are taken whole make the runs longer.
  let inner = shape.length - 1;
  let run = extent[inner] as number;
  let stride = 1;
  while (inner > 0 && extent[inner] === shape[inner]) {
    stride *= shape[inner] as number;
    inner--;
    run *= extent[inner] as number;
  }
  const start = (from[inner] as number) * stride;
  const index = new Array<number>(inner).fill(0);
  for (let to = 0; to < target.length; to += run) {
    let row = 0;
    for (let d = 0; d < inner; d++) {
      row = row * (shape[d] as number) + (from[d] as number) + (index[d] as number);
    }
    const at = row * (shape[inner] as number) * stride + start;
    target.set(source.subarray(at, at + run), to);
    for (let d = inner - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (extent[d] as number)) break;
      index[d] = 0;
    }
  }
}

/**
 * MaxPoolGrad. The stock kernel (4.22) starts its search for the largest element above zero and so
 * drops the gradient of every window without a positive element, silently.
 * Of equal elements the first in the window gets the gradient, as on the cpu backend.
 */
export function createMaxPoolGradient(tf: TensorFlow): Kernel {
  return (backend, inputs, attrs) => {
    const { filterSize, strides, pad, dimRoundingMode } = attrs as ConvolutionAttrs & {
      filterSize: [number, number] | number;
    };
    const x = input(inputs, "input");
    const dy = input(inputs, "dy");
    const info = tf.backend_util.computePool2DInfo(
      x.shape as Shape4D,
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const result: TensorInfo = zeros(backend, [...x.shape]);
    routeToMaxima(info, floats(backend, x), floats(backend, dy), floats(backend, result));
    return result;
  };
}

function routeToMaxima(info: PoolInfo, x: Float32Array, dy: Float32Array, dx: Float32Array): void {
  const { inHeight, inWidth, inChannels: channels, outHeight, outWidth } = info;
  const largest = new Float32Array(channels);
  const places = new Int32Array(channels);
  let at = 0;
  for (let n = 0; n < info.batchSize; n++) {
    for (let i = 0; i < outHeight; i++) {
      const top = i * info.strideHeight - info.padInfo.top;
      const bottom = Math.min(top + info.effectiveFilterHeight, inHeight);
      for (let j = 0; j < outWidth; j++, at += channels) {
        const left = j * info.strideWidth - info.padInfo.left;
        const right = Math.min(left + info.effectiveFilterWidth, inWidth);
        largest.fill(-Infinity);
        places.fill(-1);
        for (let row = Math.max(top, 0); row < bottom; row++) {
          for (let column = Math.max(left, 0); column < right; column++) {
            const pixel = ((n * inHeight + row) * inWidth + column) * channels;
            for (let c = 0; c < channels; c++) {
              const value = x[pixel + c] as number;
              if (value > (largest[c] as number)) {
                largest[c] = value;
                places[c] = pixel + c;
              }
            }
          }
        }
        for (let c = 0; c < channels; c++) {
          const place = places[c] as number;
          if (place >= 0) dx[place] = (dx[place] as number) + (dy[at + c] as number);
        }
      }
    }
  }
}
