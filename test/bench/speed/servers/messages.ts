/** What a server of the benchmark is asked over its IPC channel, by `vitals.mjs`. */

export type Question =
  /** @param collect garbage is collected first */
  | { readonly ask: "vitals"; readonly collect: boolean }
  /** From now on it is noted how late the turns of its event loop come. */
  | { readonly ask: "watch"; readonly resolutionMs: number }
  | { readonly ask: "delays" };

export interface Vitals {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  /** User and system time of the whole process since its start, all threads of it. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Since it was asked to watch. */
export interface Delays {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}
