/** Tensors as JSON writes them: nested arrays of numbers, row-major, outermost dimension first. */

export interface Batch {
  /** Row-major elements. */
  readonly values: Float32Array;
  /** `[n, ...shape of one instance]`. */
  readonly shape: readonly number[];
}

/** What is wrong with an input, in words for whoever sent it. */
export class InputFault extends Error {
  override readonly name = "InputFault";
}

const describe = (value: unknown): string => {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return value === null ? "null" : typeof value === "object" ? "an object" : `a ${typeof value}`;
};

/**
 * @param instances one or more instances, each a nested array of exactly `instanceShape`
 * @throws InputFault that names the place of the first fault
 */
export function readBatch(instances: unknown, instanceShape: readonly number[]): Batch {
  if (!Array.isArray(instances) || instances.length === 0) {
    throw new InputFault(`expected an array of at least one instance, got ${describe(instances)}`);
  }
  const shape = [instances.length, ...instanceShape];
  const values = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
  let at = 0;
  const read = (value: unknown, depth: number, path: string): void => {
    if (depth === shape.length) {
      if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) {
        throw new InputFault(`expected a float32 number at ${path}, got ${describe(value)}`);
      }
      values[at] = value;
      at += 1;
      return;
    }
    if (!Array.isArray(value) || value.length !== shape[depth]) {
      throw new InputFault(
        `expected an array of ${shape[depth] ?? 0} at ${path}, got ${describe(value)}; ` +
          `an instance has shape [${instanceShape.join(", ")}]`,
      );
    }
    for (const [i, item] of value.entries()) read(item, depth + 1, `${path}[${i}]`);
  };
  read(instances, 0, "instances");
  return { values, shape };
}

type Nested = number | readonly Nested[];

/** Flat, row-major values as nested arrays. `values.length` must be the product of `shape`. */
export function toNested(values: ArrayLike<number>, shape: readonly number[]): Nested {
  const build = (depth: number, start: number, length: number): Nested => {
    if (depth === shape.length) return values[start] as number;
    const count = shape[depth] as number;
    const step = length / count;
    return Array.from({ length: count }, (_, i) => build(depth + 1, start + i * step, step));
  };
  return build(0, 0, values.length);
}
