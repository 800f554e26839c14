/** How evenly a page draws: what its main thread is blocked by shows in the gaps. */

export interface Frames {
  readonly drawn: number;
  readonly longestGapMs: number;
  readonly spanMs: number;
}

/** Watches from now on. @returns stops, and tells what was drawn */
export function watchFrames(): () => Frames {
  const begun = performance.now();
  let last = begun;
  let drawn = 0;
  let longestGapMs = 0;
  let watching = true;
  const look = () => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - last);
    last = now;
    drawn += 1;
    if (watching) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  return () => {
    watching = false;
    const now = performance.now();
    return { drawn, longestGapMs: Math.max(longestGapMs, now - last), spanMs: now - begun };
  };
}
