/**
 * How many of the clients that have come are believed to come again.
 *
 * Where anybody may make up client keys their number says nothing: one sender passes for thousands. What cannot be
 * made up is a round that came about with as many clients held as it wants. So what is believed at most doubles with
 * such a round, and shrinks to a quarter where rounds find too few; who is counted and never waits moves nothing.
 *
 * Let n clients be there, and B be believed. Of a crowd of B so many are sent away that w n / B are held at a time. A
 * round wants two thirds of w, so that rounds come about only while B <= 3/2 n, and what follows from one is at most
 * twice that: nobody is told more than three times as long as is right, give or take chance. When then no round comes
 * about, a quarter is believed, and so on, down to few, who meet. So that this does not begin anew with the next
 * round, each time needs twice as many rounds as the one before, up to a limit and until all that came are believed.
 */

const GROWTH = 2;
const SHRINKAGE = 4;
/** Rounds in a row that a step may need. */
const MOST_PROOFS = 16;

export interface Credit {
  /** @returns those of `population` that are believed; of so many as are `few` all */
  of(population: number, few: number): number;
  /** A round came about, and as many were held for it as should be. */
  proven(population: number, few: number, nowMs: number): void;
  /** A round finds too few. */
  refuted(population: number, few: number): void;
}

/** @param settleMs in which a step shows: until then rounds are of those who were sent away before it */
export function createCredit(settleMs: number): Credit {
  let most = 0;
  let steppedAt = -Infinity;
  let proofs = 0;
  let proofsNeeded = 1;
  const believed = (population: number, few: number) => Math.min(population, Math.max(few, most));
  return {
    of: believed,
    proven: (population, few, nowMs) => {
      const proved = believed(population, few);
      if (proved === population) proofsNeeded = Math.max(1, proofsNeeded / 2);
      // Where fewer come, as at night, the next step begins there.
      const next = GROWTH * proved;
      if (next <= most) {
        most = next;
        return;
      }
      if (nowMs - steppedAt < settleMs) return;
      proofs += 1;
      if (proofs < proofsNeeded) return;
      most = next;
      steppedAt = nowMs;
      proofs = 0;
    },
    refuted: (population, few) => {
      most = believed(population, few) / SHRINKAGE;
      proofs = 0;
      proofsNeeded = Math.min(MOST_PROOFS, 2 * proofsNeeded);
    },
  };
}
