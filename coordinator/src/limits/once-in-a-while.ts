/** Something that costs, asked for by anybody: done once in a while, with one answer for all who ask meanwhile. */

import type { Clock } from "../ports.ts";

/** @returns the answer, or failure, of the last `run`, unless that began `everyMs` ago or earlier */
export function onceInAWhile<T>(
  clock: Pick<Clock, "monotonicMs">,
  everyMs: number,
  run: () => Promise<T>,
): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    const now = clock.monotonicMs();
    if (last === undefined || now - last.at >= everyMs) last = { at: now, answer: run() };
    return last.answer;
  };
}
