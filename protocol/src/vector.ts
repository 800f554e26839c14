/** Norm and clip of a flat vector, one definition for client and coordinator. */

type Vector = Float32Array | Float64Array;

/**
 * L2 norm, summed in float64. NaN or Infinity when any element is: for float32 elements the sum of
 * squares (at most 3.4e38^2 * 2^29 < 1.8e308) is finite exactly when every element is.
 * A Float64Array whose squares overflow is scaled first, so a finite vector has a finite norm (unless
 * the norm itself is beyond 1.8e308).
 */
export function l2Norm(vector: Vector): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i] as number;
    sum += value * value;
  }
  if (sum < Infinity || vector instanceof Float32Array) return Math.sqrt(sum);
  return scaledNorm(vector);
}

function scaledNorm(vector: Vector): number {
  let largest = 0;
  for (let i = 0; i < vector.length; i++) {
    const magnitude = Math.abs(vector[i] as number);
    if (!(magnitude <= largest)) largest = magnitude;
    if (!Number.isFinite(magnitude)) return magnitude;
  }
  let sum = 0;
  for (let i = 0; i < vector.length; i++) {
    const ratio = (vector[i] as number) / largest;
    sum += ratio * ratio;
  }
  return largest * Math.sqrt(sum);
}

/**
 * Factor that brings a vector of norm `norm` into the ball of radius `clippingNorm`: min(1, C / norm).
 * 1 for the zero vector. NaN for a norm that is not finite, so that nothing passes unclipped by mistake.
 */
export function clipFactor(norm: number, clippingNorm: number): number {
  if (!Number.isFinite(norm)) return Number.NaN;
  return norm <= clippingNorm ? 1 : clippingNorm / norm;
}

/**
 * Scales `vector` in place so that its L2 norm is at most `clippingNorm`. Float32 rounding can leave
 * the result a few units in the last place above: whoever needs a hard bound clips again in float64.
 * @returns the norm before clipping
 * @throws RangeError when the vector is not finite (it is left as it was)
 */
export function clipToNorm(vector: Vector, clippingNorm: number): number {
  const norm = l2Norm(vector);
  const factor = clipFactor(norm, clippingNorm);
  if (Number.isNaN(factor)) throw new RangeError("cannot clip a vector that is not finite");
  if (factor !== 1) {
    for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) * factor;
  }
  return norm;
}

/** trained - received, element by element: the delta that a client reports. */
export function subtract(trained: Float32Array, received: Float32Array): Float32Array {
  if (trained.length !== received.length) {
    throw new RangeError(`cannot subtract ${received.length} elements from ${trained.length}`);
  }
  const delta = new Float32Array(trained.length);
  for (let i = 0; i < delta.length; i++) {
    delta[i] = (trained[i] as number) - (received[i] as number);
  }
  return delta;
}
