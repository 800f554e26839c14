/** The order, names, shapes and offsets of a model's tensors in its one flat vector. */

import { sha256 } from "./digest.ts";
import { FederatedError } from "./errors.ts";
import type { Digest } from "./ids.ts";

/** One tensor as its author names it. */
export interface TensorSpec {
  readonly name: string;
  /** Dimensions, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
}

/** One tensor and its place in the flat vector. */
export interface TensorLayout extends TensorSpec {
  /** First element in the flat vector. */
  readonly offset: number;
  /** Number of elements: the product of `shape`. */
  readonly size: number;
}

export interface Layout {
  readonly tensors: readonly TensorLayout[];
  /** Elements of the flat vector. */
  readonly parameterCount: number;
  /** SHA-256 over names and shapes in order; two models with equal digests can be averaged. */
  readonly digest: Digest;
}

/** Above this a Float32Array no longer fits one ArrayBuffer everywhere. */
export const MAX_PARAMETERS = 2 ** 29;

/**
 * Lays tensors out one after the other, row-major, in the order given.
 * @throws FederatedError MALFORMED_MESSAGE for no tensors, a repeated or empty name, a dimension that
 * is not a positive integer, or more than {@link MAX_PARAMETERS} elements
 */
export async function createLayout(specs: readonly TensorSpec[]): Promise<Layout> {
  const names = new Set<string>();
  const tensors: TensorLayout[] = [];
  let offset = 0;
  for (const { name, shape } of specs) {
    if (name === "" || names.has(name)) {
      throw malformed(`tensor names must be unique and not empty, got "${name}" twice or empty`);
    }
    names.add(name);
    let size = 1;
    for (const dimension of shape) {
      if (!Number.isSafeInteger(dimension) || dimension < 1) {
        throw malformed(`tensor "${name}" has dimension ${dimension}; all must be integers >= 1`);
      }
      size *= dimension;
    }
    if (offset + size > MAX_PARAMETERS) {
      throw malformed(`the model has more than ${MAX_PARAMETERS} parameters at "${name}"`);
    }
    tensors.push({ name, shape: [...shape], offset, size });
    offset += size;
  }
  if (tensors.length === 0) throw malformed("a model needs at least one tensor");
  const canonical = JSON.stringify(tensors.map(({ name, shape }) => [name, shape]));
  const digest = await sha256(new TextEncoder().encode(canonical));
  return { tensors, parameterCount: offset, digest };
}

/** The part of `vector` that holds one tensor: a view, not a copy. */
export function tensorView(vector: Float32Array, tensor: TensorLayout): Float32Array {
  return vector.subarray(tensor.offset, tensor.offset + tensor.size);
}

const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
