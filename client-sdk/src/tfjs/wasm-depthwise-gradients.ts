/**
 * Gradients of depthwise conv2d in loops over the wasm heap: XNNPACK has no kernel that sums over the
 * batch. x is [n, h, w, c], the filter [fh, fw, c, m], y [n, oh, ow, c m] with output c m + q.
 */

import type { TensorFlow } from "./tensorflow.ts";
import {
  convolutionInfo,
  floats,
  input,
  zeros,
  type ConvolutionAttrs,
  type ConvolutionInfo,
  type Kernel,
  type Shape4D,
} from "./wasm-kernel.ts";

/**
 * Calls `visit` for each tap of the filter at each output position that falls on the input, with the
 * offsets of the first channel in x and in y, and of the tap in the filter.
 */
function forEachTap(
  info: ConvolutionInfo,
  visit: (xOffset: number, yOffset: number, tapOffset: number) => void,
): void {
  const { batchSize, outHeight, outWidth, filterHeight, filterWidth, padInfo } = info;
  const tapSize = info.outChannels;
  for (let n = 0; n < batchSize; n++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        const yOffset = ((n * outHeight + i) * outWidth + j) * info.outChannels;
        for (let k = 0; k < filterHeight; k++) {
          const row = i * info.strideHeight + k * info.dilationHeight - padInfo.top;
          if (row < 0 || row >= info.inHeight) continue;
          for (let l = 0; l < filterWidth; l++) {
            const column = j * info.strideWidth + l * info.dilationWidth - padInfo.left;
            if (column < 0 || column >= info.inWidth) continue;
            const xOffset = ((n * info.inHeight + row) * info.inWidth + column) * info.inChannels;
            visit(xOffset, yOffset, (k * filterWidth + l) * tapSize);
          }
        }
      }
    }
  }
}

/** DepthwiseConv2dNativeBackpropFilter: dW[k, l, c, q] = sum x dy, in float64. */
export function createDepthwiseFilterGradient(tf: TensorFlow): Kernel {
  return (backend, inputs, attrs) => {
    const { filterShape, ...geometry } = attrs as ConvolutionAttrs & { filterShape: Shape4D };
    const x = input(inputs, "x");
    const dy = input(inputs, "dy");
    const info = convolutionInfo(tf, x.shape, filterShape, geometry, true);
    const { inChannels } = info;
    const multiplier = info.outChannels / inChannels;
    const result = zeros(backend, [...filterShape]);
    const xs = floats(backend, x);
    const dys = floats(backend, dy);
    const sums = new Float64Array(info.filterHeight * info.filterWidth * info.outChannels);
    forEachTap(info, (xOffset, yOffset, tapOffset) => {
      let at = 0;
      for (let c = 0; c < inChannels; c++) {
        const value = xs[xOffset + c] as number;
        for (let q = 0; q < multiplier; q++, at++) {
          sums[tapOffset + at] =
            (sums[tapOffset + at] as number) + value * (dys[yOffset + at] as number);
        }
      }
    });
    floats(backend, result).set(sums);
    return result;
  };
}

/** DepthwiseConv2dNativeBackpropInput: dx = sum over taps and q of dy W. */
export function createDepthwiseInputGradient(tf: TensorFlow): Kernel {
  return (backend, inputs, attrs) => {
    const { inputShape, ...geometry } = attrs as ConvolutionAttrs & { inputShape: Shape4D };
    const dy = input(inputs, "dy");
    const filter = input(inputs, "filter");
    const info = convolutionInfo(tf, inputShape, filter.shape, geometry, true);
    const { inChannels } = info;
    const multiplier = info.outChannels / inChannels;
    const result = zeros(backend, [...inputShape]);
    const dxs = floats(backend, result);
    const dys = floats(backend, dy);
    const ws = floats(backend, filter);
    forEachTap(info, (xOffset, yOffset, tapOffset) => {
      let at = 0;
      for (let c = 0; c < inChannels; c++) {
        let sum = dxs[xOffset + c] as number;
        for (let q = 0; q < multiplier; q++, at++) {
          sum += (dys[yOffset + at] as number) * (ws[tapOffset + at] as number);
        }
        dxs[xOffset + c] = sum;
      }
    });
    return result;
  };
}
