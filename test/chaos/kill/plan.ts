/** Which kills a run makes: every persisted transition, then random moments in every phase. Pure. */

import type { KillPoint } from "./points.ts";
import { isFirstStart, KILL_POINTS } from "./points.ts";

export const MOMENTS = ["starting", "between", "selecting", "reporting", "aggregating"] as const;
export type Moment = (typeof MOMENTS)[number];

export type Kill =
  | { readonly kind: "point"; readonly point: KillPoint; readonly count: number }
  /** So long after the phase began, or after the start of the process. */
  | { readonly kind: "moment"; readonly moment: Moment; readonly delayMs: number };

export const nameOf = (kill: Kill): string =>
  kill.kind === "point" ? kill.point : `moment.${kill.moment}`;

/** mulberry32 (Tommy Ettinger): repeatable, and good enough to choose with. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One kill at each transaction (before or after it), each step of a file, each phase. */
export function sampleKills(seed: number): Kill[] {
  const random = createRandom(seed);
  const after = seed % 2 === 0;
  const points = KILL_POINTS.filter(
    (point, i) =>
      point.startsWith("file.") ||
      point.endsWith((i >> 1) % 2 === Number(after) ? "before" : "after"),
  );
  return [...points.map((point) => killAt(point, 1)), ...MOMENTS.map((m) => killIn(m, random))];
}

/** Where rounds of another kind have something to lose: cohort, charge, version, its files, and updates in memory. */
export function roundKills(seed: number): Kill[] {
  const random = createRandom(seed);
  const points = ["sql.cohort.after", "sql.reserve.after", "sql.commit.before", "sql.commit.after"];
  return [
    ...[...points, "file.renamed"].map((point) => killAt(point as KillPoint, 2)),
    ...(["reporting", "aggregating"] as const).map((moment) => killIn(moment, random)),
  ];
}

/** Every point in turn, and a random moment after each: `count` kills. */
export function manyKills(count: number, seed: number): Kill[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const turn = i >> 1;
    if (i % 2 === 1) return killIn(MOMENTS[turn % MOMENTS.length] ?? "between", random);
    const point = KILL_POINTS[turn % KILL_POINTS.length] ?? "sql.commit.before";
    // Later times reach other files and the other tasks.
    return killAt(point, 1 + Math.floor(random() * 4));
  });
}

/** The first start makes its tables and its secrets once. */
const killAt = (point: KillPoint, count: number): Kill => ({
  kind: "point",
  point,
  count: isFirstStart(point) ? 1 : count,
});

/** A start takes about a second; a phase of this task some tens of milliseconds. */
const killIn = (moment: Moment, random: () => number): Kill => ({
  kind: "moment",
  moment,
  delayMs: random() * (moment === "starting" ? 900 : 40),
});
