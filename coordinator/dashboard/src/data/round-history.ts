/** The rounds of one task as columns of numbers: ten thousand of them take a megabyte, not thirty. */

import type { HistoryColumn, RoundPhase, RoundResource, TaskHistory } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

/** What is kept of each round. NaN where the round does not say: not yet, not measured, or withheld. */
export const ROUND_COLUMNS = [
  /** Instants in milliseconds since 1970. */
  "openedAt",
  "endedAt",
  "durationMs",
  "modelVersion",
  /** The version that `accuracy`, `macroF1` and `loss` judge. */
  "evaluatedVersion",
  "accuracy",
  "macroF1",
  "loss",
  "trainLoss",
  "updateBytes",
  "epsilon",
  "clippingNorm",
  "selected",
  "reported",
] as const;
export type RoundColumn = (typeof ROUND_COLUMNS)[number];

export interface RoundRow extends Readonly<Record<RoundColumn, number>> {
  readonly roundNumber: number;
  readonly phase: RoundPhase;
  /** Why it was abandoned, where that is told. */
  readonly reason?: RoundResource["reason"];
}

export interface RoundHistory {
  /** Makes the computation or component that calls it run again with every change. */
  follow(): void;
  /** Grows by one with every change. */
  readonly revision: ReadonlySignal<number>;
  /** Numbers of the oldest and the newest round that are known; 0 while there is none. */
  readonly oldest: number;
  readonly newest: number;
  /**
   * Takes a round as it is now. What is older than the newest 10 000 is not kept, and what was true of the
   * round before (a snapshot that an event has overtaken) changes nothing.
   * @returns whether it is news
   */
  put(round: RoundResource): boolean;
  /** Takes many at once, for one change. */
  putAll(rounds: readonly RoundResource[]): void;
  /** Takes ended rounds as the API has them in columns, likewise. */
  putColumns(columns: TaskHistory): void;
  /** @returns undefined for a round that is not known */
  row(roundNumber: number): RoundRow | undefined;
  /** One cell; NaN where there is nothing. Without making a row. */
  cell(roundNumber: number, column: RoundColumn): number;
  phaseOf(roundNumber: number): RoundPhase | undefined;
  /** The newest value of a column and its round; undefined where no round has one. */
  last(column: RoundColumn): { readonly roundNumber: number; readonly value: number } | undefined;
  /** Numbers of known rounds that are missing between `oldest` and `newest`. */
  missing(): number;
  clear(): void;
}

export const MOST_ROUNDS = 10_000;
const FIRST_CAPACITY = 64;

const PHASES: readonly RoundPhase[] = [
  "selecting",
  "reporting",
  "aggregating",
  "committed",
  "abandoned",
];
/** A committed round never turns into an abandoned one, so that the two may stand after one another. */
const rankOf = (phase: RoundPhase): number => PHASES.indexOf(phase) + 1;

/** Round n has its place at n modulo the capacity, as numbers run without a gap. */
export function createRoundHistory(mostRounds = MOST_ROUNDS): RoundHistory {
  const revision = signal(0);
  let capacity = 0;
  let numbers = new Float64Array(0);
  /** `rankOf` its phase; 0 for a round that is not known. */
  let ranks = new Uint8Array(0);
  let columns = new Map<RoundColumn, Float64Array>();
  /** Few rounds are abandoned. */
  const reasons = new Map<number, RoundResource["reason"]>();
  let newest = 0;
  let oldest = 0;
  let count = 0;

  const placeOf = (roundNumber: number) => roundNumber % capacity;
  const has = (roundNumber: number) =>
    capacity > 0 &&
    numbers[placeOf(roundNumber)] === roundNumber &&
    ranks[placeOf(roundNumber)] !== 0;

  function grow(wanted: number): void {
    let next = Math.max(capacity, FIRST_CAPACITY);
    while (next < wanted) next *= 2;
    next = Math.min(next, mostRounds);
    if (next <= capacity) return;
    const move = <T extends Float64Array | Uint8Array>(from: T, to: T) => {
      for (let place = 0; place < capacity; place++) {
        if (ranks[place] !== 0) to[Number(numbers[place]) % next] = Number(from[place]);
      }
      return to;
    };
    columns = new Map(
      ROUND_COLUMNS.map((name) => {
        const to = new Float64Array(next).fill(NaN);
        return [name, move(columns.get(name) ?? new Float64Array(0), to)];
      }),
    );
    const movedRanks = move(ranks, new Uint8Array(next));
    numbers = move(numbers, new Float64Array(next));
    ranks = movedRanks;
    capacity = next;
  }

  function take(
    { roundNumber, phase, reason }: Pick<RoundRow, "roundNumber" | "phase" | "reason">,
    values: Readonly<Record<RoundColumn, number>>,
  ): boolean {
    if (roundNumber <= newest - mostRounds) return false;
    const low = count === 0 ? roundNumber : Math.min(oldest, roundNumber);
    const high = Math.max(newest, roundNumber);
    grow(high - low + 1);
    // What the newest round pushes out.
    const pushedOut = Math.min(newest, high - mostRounds);
    for (let n = oldest; count > 0 && n <= pushedOut; n++) forget(n);
    const known = has(roundNumber);
    const place = placeOf(roundNumber);
    if (known && Number(ranks[place]) > rankOf(phase)) return false;
    if (!known) count += 1;
    newest = high;
    oldest = Math.max(low, high - mostRounds + 1);
    numbers[place] = roundNumber;
    ranks[place] = rankOf(phase);
    if (reason !== undefined) reasons.set(roundNumber, reason);
    for (const name of ROUND_COLUMNS) (columns.get(name) as Float64Array)[place] = values[name];
    return true;
  }

  function forget(roundNumber: number): void {
    if (!has(roundNumber)) return;
    ranks[placeOf(roundNumber)] = 0;
    reasons.delete(roundNumber);
    count -= 1;
  }

  const cell = (roundNumber: number, column: RoundColumn): number =>
    has(roundNumber) ? (columns.get(column)?.[placeOf(roundNumber)] ?? NaN) : NaN;
  const phaseOf = (roundNumber: number): RoundPhase | undefined =>
    has(roundNumber) ? PHASES[Number(ranks[placeOf(roundNumber)]) - 1] : undefined;

  return {
    follow: () => revision.value,
    revision,
    get oldest() {
      return oldest;
    },
    get newest() {
      return newest;
    },
    put: (round) => {
      const isNews = take(round, valuesOf(round));
      if (isNews) revision.value += 1;
      return isNews;
    },
    putAll: (rounds) => {
      // Oldest last would grow the columns again and again.
      const sorted = [...rounds].sort((a, b) => a.roundNumber - b.roundNumber);
      const news = sorted.map((round) => take(round, valuesOf(round)));
      if (news.some(Boolean)) revision.value += 1;
    },
    putColumns: (columns) => {
      const news = columns.roundNumber.map((roundNumber, i) => {
        const reason = columns.reason?.[i] ?? undefined;
        const phase = columns.modelVersion[i] === null ? "abandoned" : "committed";
        const round = { roundNumber, phase, ...(reason === undefined ? {} : { reason }) } as const;
        return take(round, cellsOf(columns, i));
      });
      if (news.some(Boolean)) revision.value += 1;
    },
    cell,
    phaseOf,
    row: (roundNumber) => {
      const phase = phaseOf(roundNumber);
      if (phase === undefined) return undefined;
      const values = Object.fromEntries(
        ROUND_COLUMNS.map((name) => [name, cell(roundNumber, name)]),
      ) as Record<RoundColumn, number>;
      const reason = reasons.get(roundNumber);
      return { roundNumber, phase, ...values, ...(reason === undefined ? {} : { reason }) };
    },
    last: (column) => {
      for (let n = newest; count > 0 && n >= oldest; n--) {
        const value = cell(n, column);
        if (!Number.isNaN(value)) return { roundNumber: n, value };
      }
      return undefined;
    },
    missing: () => (count === 0 ? 0 : newest - oldest + 1 - count),
    clear: () => {
      ranks.fill(0);
      reasons.clear();
      newest = oldest = count = 0;
      revision.value += 1;
    },
  };
}

function valuesOf(round: RoundResource): Readonly<Record<RoundColumn, number>> {
  const { evaluation, participants, openedAt, endedAt } = round;
  return {
    openedAt: Date.parse(openedAt),
    endedAt: endedAt === undefined ? NaN : Date.parse(endedAt),
    durationMs: durationOf(round),
    modelVersion: round.modelVersion ?? NaN,
    evaluatedVersion: evaluation?.modelVersion ?? NaN,
    accuracy: evaluation?.accuracy ?? NaN,
    macroF1: evaluation?.macro?.f1 ?? NaN,
    loss: evaluation?.loss ?? NaN,
    trainLoss: round.trainLoss ?? NaN,
    updateBytes: round.updateBytes ?? NaN,
    epsilon: round.epsilon ?? NaN,
    clippingNorm: round.clippingNorm ?? NaN,
    selected: participants?.selected ?? NaN,
    reported: participants?.reported ?? NaN,
  };
}

/** Time of its phases; under privacy only whole rounds are timed, by what everybody sees of them. */
function durationOf({ phases, openedAt, endedAt }: RoundResource): number {
  if (endedAt === undefined) return NaN;
  if (phases !== undefined && phases.length > 0) {
    return phases.reduce((sum, { durationMs }) => sum + durationMs, 0);
  }
  return Date.parse(endedAt) - Date.parse(openedAt);
}

function cellsOf(history: TaskHistory, i: number): Readonly<Record<RoundColumn, number>> {
  const of = (column: HistoryColumn | undefined) => column?.[i] ?? NaN;
  const [openedAt, endedAt] = [of(history.openedAtMs), of(history.endedAtMs)];
  const { selectingMs, reportingMs, aggregatingMs } = history;
  const phases = [selectingMs, reportingMs, aggregatingMs].map(of);
  const timed = phases.filter((ms) => !Number.isNaN(ms));
  return {
    openedAt,
    endedAt,
    durationMs: timed.length === 0 ? endedAt - openedAt : timed.reduce((sum, ms) => sum + ms, 0),
    modelVersion: of(history.modelVersion),
    evaluatedVersion: of(history.evaluatedVersion),
    accuracy: of(history.accuracy),
    macroF1: of(history.macroF1),
    loss: of(history.loss),
    trainLoss: of(history.trainLoss),
    updateBytes: of(history.updateBytes),
    epsilon: of(history.epsilon),
    clippingNorm: of(history.clippingNorm),
    selected: of(history.selected),
    reported: of(history.reported),
  };
}
