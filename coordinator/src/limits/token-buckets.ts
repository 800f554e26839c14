/**
 * Token buckets by key in bounded memory, as GCRA (ITU-T I.371): of each bucket one number is kept, the
 * instant at which it will be full again.
 *
 * No library: those for Node count in fixed windows, which let twice the rate through at their edges, and
 * keep an entry and a timer for every address that was ever seen, which is what a flood would use.
 */

export interface TokenBucketOptions {
  readonly perSecond: number;
  /** Tokens of a full bucket: what may come at once. */
  readonly burst: number;
  /**
   * Buckets remembered, at most. The half of them that was used last is never forgotten: who can send from
   * so many addresses gets more than one bucket's rate, but costs no more memory, and shuts nobody out.
   */
  readonly maxKeys: number;
}

export interface TokenBuckets {
  /** Takes a token. @returns 0, or the milliseconds until there is one; then nothing was taken */
  take(key: string, nowMs: number): number;
  /** What `take` would return; takes nothing. */
  waitMs(key: string, nowMs: number): number;
  readonly size: number;
}

/** One bucket, of one connection: where there are thousands, tables of one entry would be most of their memory. */
export interface TokenBucket {
  /** As {@link TokenBuckets.take}. */
  take(nowMs: number): number;
}

/** @returns makes one bucket after the other, each full and with a single number of its own */
export function createBucketMaker({
  perSecond,
  burst,
}: Pick<TokenBucketOptions, "perSecond" | "burst">): () => TokenBucket {
  const tokenMs = 1000 / perSecond;
  const fillMs = burst * tokenMs;
  return () => {
    let fullAt = -Infinity;
    return {
      take: (nowMs) => {
        const next = Math.max(nowMs, fullAt) + tokenMs;
        const wait = waitFor(next, nowMs, fillMs);
        if (wait === 0) fullAt = next;
        return wait;
      },
    };
  };
}

function waitFor(next: number, nowMs: number, fillMs: number): number {
  const missing = next - nowMs - fillMs;
  // Sums of fractions of a millisecond are not exact, and a token must not be lost to that.
  return missing > 1e-6 ? missing : 0;
}

export function createTokenBuckets({
  perSecond,
  burst,
  maxKeys,
}: TokenBucketOptions): TokenBuckets {
  const tokenMs = 1000 / perSecond;
  /** Time in which an empty bucket fills. */
  const fillMs = burst * tokenMs;
  // Two generations, of which the older is dropped as a whole: to look for the one oldest entry of a Map
  // takes 25 µs under a flood, this takes one.
  let young = new Map<string, number>();
  let old = new Map<string, number>();

  const afterTaking = (key: string, nowMs: number) =>
    Math.max(nowMs, young.get(key) ?? old.get(key) ?? nowMs) + tokenMs;

  return {
    get size() {
      return young.size + old.size;
    },
    waitMs: (key, nowMs) => waitFor(afterTaking(key, nowMs), nowMs, fillMs),
    take: (key, nowMs) => {
      const next = afterTaking(key, nowMs);
      const wait = waitFor(next, nowMs, fillMs);
      if (wait > 0) return wait;
      if (!young.has(key) && young.size >= maxKeys / 2) {
        old = young;
        young = new Map();
      }
      old.delete(key);
      young.set(key, next);
      return 0;
    },
  };
}
