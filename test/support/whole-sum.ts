/**
 * Exactly once, by arithmetic: each honest client adds a power of two to every weight, so the sum of a round
 * says who is in it, and nobody can be in it twice or in another's place.
 */

import type { RoundResource } from "@tributary/protocol";

/** What client `index` adds: 1, 2, 4, … */
export const shareOf = (index: number): number => 2 ** index;

/**
 * The clients whose updates made `after` of `before`.
 * @throws Error when no set of so many distinct clients did
 */
export function membersOf(
  round: Pick<RoundResource, "roundNumber" | "participants">,
  before: Float32Array,
  after: Float32Array,
): ReadonlySet<number> {
  const { reported = Number.NaN } = round.participants ?? {};
  const sums = after.map((weight, i) => Math.round((weight - before[i]!) * reported));
  const [sum = 0] = sums;
  const members = new Set<number>();
  for (let index = 0; shareOf(index) <= sum; index++) {
    if (Math.floor(sum / shareOf(index)) % 2 === 1) members.add(index);
  }
  const exact = before.every(
    (weight, i) => sums[i] === sum && Math.fround(weight + sum / reported) === after[i],
  );
  if (exact && members.size === reported) return members;
  throw new Error(
    `round ${round.roundNumber} counts ${reported} reports, its sum is ${[...sums].join(" ")}: ` +
      `${members.size} clients`,
  );
}
