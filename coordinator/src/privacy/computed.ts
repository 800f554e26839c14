/**
 * What the accountant computed last, by question: one answer may take seconds, which only a thread has. An answer is
 * a pure function of its question, so it does not matter where it was computed, or when.
 */

import type { Release, ReleaseGroup } from "./charge.ts";
import { renyiCurve } from "./curve.ts";
import type { RenyiHint } from "./pld.ts";
import { epsilonOfLoss } from "./pld.ts";

export interface LossQuestion {
  readonly kind: "loss";
  readonly releases: readonly ReleaseGroup[];
  readonly delta: number;
  readonly hint: RenyiHint;
}

export interface CurveQuestion {
  readonly kind: "curve";
  readonly release: Release;
}

/** Asks for epsilon by privacy loss, or for the Renyi curve of one release. */
export type Question = LossQuestion | CurveQuestion;

/** Epsilon, or RDP at each order. */
export type Computed = number | readonly number[];

/** Answers kept: for how many rounds are left a task asks some twenty, and several tasks take turns. */
const MOST_ANSWERS = 1024;

const answers = new Map<string, Computed>();
/** Must nothing that takes long be computed here and now? */
let onlyQuick = false;

/** No error: it leads out of what cannot go on, to the one who asked. */
class Missing {
  readonly question: Question;
  constructor(question: Question) {
    this.question = question;
  }
}

/** Computes it, whatever is known. @throws FederatedError CONFIG_INVALID for what nothing can be said about */
export const compute = (question: Question): Computed =>
  question.kind === "loss"
    ? epsilonOfLoss(question.releases, question.delta, question.hint)
    : renyiCurve(question.release);

/** {@link epsilonOfLoss}, remembered. */
export const lossOf = (question: Omit<LossQuestion, "kind">): number =>
  remembered({ kind: "loss", ...question }) as number;

/** {@link renyiCurve}, remembered. */
export const curveOf = (release: Release): readonly number[] =>
  remembered({ kind: "curve", release }) as readonly number[];

function remembered(question: Question): Computed {
  const known = answers.get(JSON.stringify(question));
  if (known !== undefined) return known;
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  if (onlyQuick && takesLong(question)) throw new Missing(question);
  const answer = compute(question);
  remember(question, answer);
  return answer;
}

/** Keeps an answer; those that came first make room. */
export function remember(question: Question, answer: Computed): void {
  for (const first of answers.keys()) {
    if (answers.size < MOST_ANSWERS) break;
    answers.delete(first);
  }
  answers.set(JSON.stringify(question), answer);
}

/** What `ask` answers, if nothing that takes long is missing; else the first such thing. */
export function askQuickly<T>(
  ask: () => T,
): { readonly answer: T } | { readonly missing: Question } {
  const before = onlyQuick;
  onlyQuick = true;
  try {
    return { answer: ask() };
  } catch (error) {
    if (error instanceof Missing) return { missing: error.question };
    throw error;
  } finally {
    onlyQuick = before;
  }
}

/** More than a few milliseconds: losses of samples, and curves of capped ones. */
const takesLong = (question: Question): boolean =>
  question.kind === "loss"
    ? question.releases.some(isSampled)
    : question.release.truncation !== undefined;

const isSampled = ({ samplingRate, truncation }: Release): boolean =>
  samplingRate < 1 || truncation !== undefined;
