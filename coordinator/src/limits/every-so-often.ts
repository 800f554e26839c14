/** Something small that is done again and again, until it is told to stop. */

import type { Clock } from "../ports.ts";

/** @returns what ends it */
export function everySoOften(
  clock: Pick<Clock, "after">,
  everyMs: number,
  run: () => void,
): () => void {
  const again = () => {
    run();
    timer = clock.after(everyMs, again);
  };
  let timer = clock.after(everyMs, again);
  return () => timer.cancel();
}
