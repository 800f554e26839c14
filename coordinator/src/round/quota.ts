/**
 * How many places in cohorts of one task a client may have in a day of UTC.
 *
 * Under Poisson sampling this leaves the accounted rate as it is. Who is over its quota is not in the
 * waiting room, so its coin is not thrown; whether it is depends on its own coins of earlier rounds and on
 * nothing of this one. Given everybody else's coins and all that was released before, a client is then in
 * the cohort with a probability of at most q. The mixture of "in with q' <= q" lies between "never in" and
 * "in with q", and the Renyi divergence is jointly quasi-convex, so each round costs at most what it costs
 * at q, and the rounds add up as before. Others' eligibility comes from their own coins, which are the same
 * with and without this client.
 */

/** Places that a client was given on its latest day. */
export interface DailyPlaces {
  /** Days since the Unix epoch. */
  readonly day: number;
  readonly places: number;
}

const DAY_MS = 86_400_000;

export const dayOf = (now: number): number => Math.floor(now / DAY_MS);

/**
 * With one more place on `day`. A clock that was set back goes on with the later day: what was used of it
 * counts until it is over, so no jump of the clock gives a place twice.
 */
export function withPlace(latest: DailyPlaces | undefined, day: number): DailyPlaces {
  if (latest === undefined || latest.day < day) return { day, places: 1 };
  return { day: latest.day, places: latest.places + 1 };
}

/** Milliseconds until the client may have another place; 0 when it may now. */
export function quotaWaitMs(
  latest: DailyPlaces | undefined,
  now: number,
  placesPerDay: number,
): number {
  if (latest === undefined || latest.day < dayOf(now) || latest.places < placesPerDay) return 0;
  return (latest.day + 1) * DAY_MS - now;
}
