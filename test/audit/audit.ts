/** Guesses from what was released who was there, and what that says about epsilon. */

import type { CanaryRun, CanaryRunOptions } from "./canary-run.ts";
import { runCanaries } from "./canary-run.ts";
import type { Guesses } from "./one-run-bound.ts";
import { epsilonLowerBound } from "./one-run-bound.ts";

export interface AuditOptions extends CanaryRunOptions {
  /** r: as many with the highest scores are guessed in as with the lowest out. Fixed before anything is seen. */
  readonly guesses: number;
  /** Chance that a mechanism which keeps its claim is refuted. */
  readonly errorRate: number;
}

export interface AuditReport extends AuditOptions, Guesses {
  /** By the coordinator's ledger and accountant. */
  readonly claimedEpsilon: number;
  /** By the guesses, at the same delta. */
  readonly epsilonLowerBound: number;
  readonly holds: boolean;
  readonly seconds: number;
}

export async function audit(options: AuditOptions): Promise<AuditReport> {
  const startedAt = performance.now();
  const run = await runCanaries(options);
  const { canaries, guesses, delta, errorRate } = options;
  const correct = countCorrect(run, guesses);
  const bound = epsilonLowerBound({ canaries, guesses, correct }, delta, errorRate);
  return {
    ...options,
    correct,
    claimedEpsilon: run.claimedEpsilon,
    epsilonLowerBound: bound,
    holds: bound <= run.claimedEpsilon,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

function countCorrect({ scores, present }: CanaryRun, guesses: number): number {
  const half = Math.floor(guesses / 2);
  const order = scores.map((_, i) => i).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  const guessedOut = order.slice(0, half);
  const guessedIn = order.slice(order.length - (guesses - half));
  return (
    guessedOut.filter((i) => present[i] === false).length +
    guessedIn.filter((i) => present[i] === true).length
  );
}
