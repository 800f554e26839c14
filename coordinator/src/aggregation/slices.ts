/** Passes over a whole model in slices, so that whoever steps them can let others have their turn in between. */

/** Elements of a slice: a few milliseconds of the dearest pass. Small models are one slice. */
export const SLICE = 262_144;

/** A pass: `next()` does a slice, the last one brings the result. */
export type Slices<T> = Generator<undefined, T, undefined>;

/** Calls `pass` with the bounds of each slice. */
export function* slicesOf(
  length: number,
  pass: (start: number, end: number) => void,
): Slices<undefined> {
  for (let start = 0; start < length; start += SLICE) {
    if (start > 0) yield;
    pass(start, Math.min(length, start + SLICE));
  }
  return undefined;
}

/** All slices at once. */
export function atOnce<T>(slices: Slices<T>): T {
  for (;;) {
    const { done, value } = slices.next();
    if (done === true) return value;
  }
}

/**
 * All slices, with a turn of `otherTurns` after each but the last.
 * @throws what the signal says, between slices
 */
export async function inTurns<T>(
  slices: Slices<T>,
  otherTurns: () => Promise<void>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    const { done, value } = slices.next();
    if (done === true) return value;
    await otherTurns();
    signal.throwIfAborted();
  }
}
