/**
 * When a client without a connection should come back: pace steering (Bonawitz et al. 2019, "Towards Federated
 * Learning at Scale: System Design", section 2.3), as a pure and stateless function.
 *
 * Let N clients come, each held for H when it does, and let w be how many should wait at the same time for a round
 * to begin. They come back in one of two ways.
 *
 * **A crowd** (N > 4 w) is spread flat. A client is away for a time drawn from the exponential distribution with
 * mean M = H (N / w - 1), so that of all N a share H / (H + M) = w / N is held at any time: w of them, and N / (H + M)
 * arrive in a unit of time. The exponential distribution has no memory: whatever clients have in common, that they
 * all began together, or come after an outage or a rest, whoever is told from then on arrives as a Poisson process
 * of constant rate, without a second wave. Times drawn evenly from a window would come in waves that take many
 * cycles to flatten. M grows with N, so what arrives does not: a million clients cost what ten thousand do.
 *
 * **Few** (N <= 4 w) would hardly ever meet that way. They are all told the same instant, the next whole multiple of
 * 4 H on the coordinator's clock, and come within the first half of a hold of it, so that all wait at the same time:
 * for the progress of rounds, and so that no round is of a handful. Whoever asks, and whenever, is told the same
 * instant: nothing needs to be remembered, and a restart changes nothing.
 *
 * **Who is counted.** Where anybody may make up client keys, so are numbers of clients: N is what `credit.ts` believes
 * of those that were seen. Only what the coordinator can bear goes by all of them: 30 000 made-up clients are spread
 * over twelve seconds where 2 500 check-ins a second are allowed, and honest ones with them.
 *
 * Between rounds that rest nobody can have a place, so both are counted from the end of the rest.
 *
 * **What it may know.** Of a private task with a Poisson sampler N is its public population, never an estimate: what clients
 * are told then depends on settings, the clock and their own coins alone, and nobody's presence moves another's
 * return. `round/quota.ts` has the argument why a client's own coins of earlier rounds may decide whether it waits.
 */

/** Clients for each one that is wanted from which on they are a crowd: held at most a quarter of the time. */
export const CROWD = 4;
/** Of a mean no draw is longer: 1.8 % are cut, and nobody is sent away for ever. */
const LONGEST_DRAW = 4;
/** Whoever stays away longer has forgotten; and who comes that seldom costs nothing. */
const LONGEST_MEAN_MS = 6 * 3_600_000;

export interface PaceSituation {
  /** N >= 0: clients that come, as far as it is believed (`credit.ts`). */
  readonly population: number;
  /** At least N: all that came of late, made up or not. How many check-ins there may be goes by these. */
  readonly seen: number;
  /** w >= 1: how many should wait at the same time. */
  readonly wanted: number;
  /** H > 0. */
  readonly holdMs: number;
  /** Until the earliest instant at which a round may begin; 0 where one may begin now. */
  readonly restMs: number;
  /** Check-ins a second that there may be in the long run, whatever is wanted. */
  readonly maxPerSecond: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** Mean time for which a client of a crowd is away; undefined for few, who meet. */
export function meanAwayMs(situation: PaceSituation): number | undefined {
  const { population, wanted, holdMs } = situation;
  const asAllowed = spanAllowedMs(situation);
  // Who cannot all come within one cycle does not meet.
  if (population <= CROWD * wanted && asAllowed <= CROWD * holdMs) return undefined;
  const asWanted = holdMs * (population / wanted - 1);
  return Math.min(LONGEST_MEAN_MS, Math.max(asWanted, asAllowed));
}

/** The shortest time in which all that were seen may come. */
const spanAllowedMs = ({ seen, maxPerSecond }: PaceSituation) => (1000 * seen) / maxPerSecond;

/**
 * Whole milliseconds after which to check in again.
 * @param uniform a number in [0, 1), drawn for this answer alone
 */
export function comeBackInMs(situation: PaceSituation, uniform: number): number {
  const { holdMs, restMs, now } = situation;
  const meanMs = meanAwayMs(situation);
  if (meanMs !== undefined) {
    return Math.ceil(restMs + meanMs * Math.min(LONGEST_DRAW, -Math.log1p(-uniform)));
  }
  const everyMs = CROWD * holdMs;
  const meeting = (Math.floor((now + restMs) / everyMs) + 1) * everyMs;
  const spreadMs = Math.max(holdMs / 2, spanAllowedMs(situation));
  return Math.ceil(meeting - now + uniform * spreadMs);
}
