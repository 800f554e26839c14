/** What clients and a reader of events have seen over all lives of a coordinator: evidence, never a guess. */

import type { Digest, RoundId, RoundResource, TaskId } from "@tributary/protocol";

export interface Diary {
  /** Lives begun so far; the first is 1. */
  life: number;
  /** Digest of every version that anybody was told of, by task and number. */
  readonly announced: Map<string, Digest>;
  /** Rounds that anybody was told have ended, as they were told. */
  readonly ended: Map<RoundId, RoundResource>;
  /** Versions that clients were told their round was committed as. */
  readonly committed: Map<RoundId, number>;
  /** Places in the cohort that anybody was told of. */
  readonly selected: Map<RoundId, number>;
  /** By round and client, in the order of `index`. */
  readonly work: Map<RoundId, Map<number, ClientWork>>;
  readonly violations: string[];
}

/** One client's part in one round. */
export interface ClientWork {
  /** Trainings that were begun. */
  trainings: number;
  /** SHA-256 of each body that was sent as the update. */
  readonly bodies: Set<string>;
  /** PUTs of it. */
  puts: number;
  /** Receipts, with the life in which each came. */
  readonly receipts: { readonly status: string; readonly life: number }[];
}

export const createDiary = (): Diary => ({
  life: 0,
  announced: new Map(),
  ended: new Map(),
  committed: new Map(),
  selected: new Map(),
  work: new Map(),
  violations: [],
});

export function workOf(diary: Diary, roundId: RoundId, index: number): ClientWork {
  const ofRound = diary.work.get(roundId) ?? new Map<number, ClientWork>();
  diary.work.set(roundId, ofRound);
  const known = ofRound.get(index);
  if (known !== undefined) return known;
  const made: ClientWork = { trainings: 0, bodies: new Set(), puts: 0, receipts: [] };
  ofRound.set(index, made);
  return made;
}

/** A version that was announced has the same digest for ever. */
export function noteVersion(diary: Diary, taskId: TaskId, version: number, digest: Digest): void {
  const key = `${taskId} v${version}`;
  const before = diary.announced.get(key);
  if (before !== undefined && before !== digest) {
    diary.violations.push(`${key} was ${before} and is ${digest}: published twice`);
  }
  diary.announced.set(key, digest);
}

/** A round that has ended never changes, and an open one keeps its cohort. */
export function noteRound(diary: Diary, round: RoundResource): void {
  const { roundId, phase, participants } = round;
  const ended = diary.ended.get(roundId);
  if (phase === "committed" || phase === "abandoned") {
    if (ended !== undefined && JSON.stringify(sorted(ended)) !== JSON.stringify(sorted(round))) {
      diary.violations.push(`round ${roundId} has another history: ${JSON.stringify(round)}`);
    }
    diary.ended.set(roundId, round);
  } else if (ended !== undefined) {
    diary.violations.push(`round ${roundId} was ${ended.phase} and is ${phase} again`);
  }
  if (participants === undefined || participants.selected === 0) return;
  const selected = diary.selected.get(roundId);
  if (selected !== undefined && selected !== participants.selected) {
    diary.violations.push(`round ${roundId} had ${selected} places, has ${participants.selected}`);
  }
  diary.selected.set(roundId, participants.selected);
}

/** With keys in order, at every depth: only values are compared. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}
