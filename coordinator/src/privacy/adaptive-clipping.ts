/**
 * Adaptive clipping (Andrew, Thakkar, McMahan, Ramaswamy 2021, "Differentially Private Learning with Adaptive
 * Clipping", arXiv:1905.03871): the clipping norm C follows a quantile gamma of the clients' norms. Beside its
 * clipped delta each client adds one bit to a count, "my norm is at most C", and the noisy count moves C:
 *
 *     share = noisyCount / expectedReports + 1/2
 *     C    <- C exp(-eta (min(1, max(0, share)) - gamma)),  kept within [minNorm, maxNorm]
 *
 * The bit is +1/2 or -1/2, so that a client that is absent, or added, moves the count by 1/2 and not by 1. Counted
 * in halves it is +1 or -1, an integer, and can be summed exactly beside the deltas, also under a secure sum.
 *
 * What it costs (Theorem 1 there). Both sums get Gaussian noise: zDelta C on the sum of deltas, sigmaB on the
 * count. In units of these deviations one client, added or removed, moves the sum by at most 1 / zDelta and the
 * count by exactly 1 / (2 sigmaB); both together, as one vector, by at most the root of
 *
 *     zDelta^-2 + (2 sigmaB)^-2 = z^-2        with   zDelta = (z^-2 - (2 sigmaB)^-2)^(-1/2)
 *
 * that is by 1 / z. So the pair is one Gaussian release of noise multiplier z: it is z that is charged, never
 * zDelta, which is larger. C itself depends on earlier releases alone, so it is public when a round begins, and
 * since z is the same in every round whatever C is, the charges are those of a plan that was fixed beforehand.
 * Where neighbours differ by a client that counts as zero, it adds no bit either, as one that does not report.
 * (With noise from the discrete Gaussian the same sum of squares bounds its Renyi divergences.)
 */

export interface NoiseSplit {
  /** z of the whole release: what is charged. */
  readonly noiseMultiplier: number;
  /** sigmaB: standard deviation of the noise on the count of bits, in clients. */
  readonly bitNoiseStddev: number;
}

/**
 * zDelta = (z^-2 - (2 sigmaB)^-2)^(-1/2): noise on the sum of deltas / clipping norm, so that it costs z together
 * with the count.
 * @throws RangeError where the count alone would cost z or more (z >= 2 sigmaB)
 */
export function deltaNoiseMultiplier({ noiseMultiplier, bitNoiseStddev }: NoiseSplit): number {
  const share = noiseMultiplier / (2 * bitNoiseStddev);
  if (!(noiseMultiplier > 0 && bitNoiseStddev > 0 && bitNoiseStddev < Infinity && share < 1)) {
    throw new RangeError(
      `noise of ${bitNoiseStddev} on the bits leaves nothing of z = ${noiseMultiplier} to the deltas; ` +
        `it must be above z / 2`,
    );
  }
  // The same as above; (1 - share)(1 + share) keeps its digits where the bits take nearly everything.
  return noiseMultiplier / Math.sqrt((1 - share) * (1 + share));
}

/**
 * A client's bit in halves: +1 where its norm is at most C, -1 above. A client that is absent adds 0.
 * @param norm of the delta as it came, before it is clipped
 * @throws RangeError for a norm that is no number
 */
export function bitOfNorm(norm: number, clippingNorm: number): 1 | -1 {
  if (!(norm >= 0 && norm < Infinity)) throw new RangeError(`a norm must be finite, got ${norm}`);
  return norm <= clippingNorm ? 1 : -1;
}

/** Standard deviation of the noise on a sum of bits in halves: sigmaB clients are 2 sigmaB halves. */
export const halvesNoiseStddev = ({ bitNoiseStddev }: Pick<NoiseSplit, "bitNoiseStddev">): number =>
  2 * bitNoiseStddev;

/**
 * Share of the clients whose norm is at most C, as far as the noise lets it be known: below 0 and above 1 where it
 * is strong. Whoever was expected and did not report counts as one half.
 * @param noisyHalves sum of bits in halves, with its noise
 */
export function shareBelow(noisyHalves: number, expectedReports: number): number {
  return noisyHalves / (2 * expectedReports) + 0.5;
}

export interface NormUpdate {
  /** gamma: the share of norms that C is to be at or above. */
  readonly targetQuantile: number;
  /** eta: how fast C follows. */
  readonly learningRate: number;
  readonly minNorm: number;
  readonly maxNorm: number;
}

/**
 * C for the next round: C exp(-eta (share - gamma)), lower where more than gamma of the norms are below it, within
 * [minNorm, maxNorm].
 * @param share of {@link shareBelow}
 * @throws RangeError when it comes from or leads to what is no number
 */
export function nextClippingNorm(
  clippingNorm: number,
  share: number,
  { targetQuantile, learningRate, minNorm, maxNorm }: NormUpdate,
): number {
  if (!Number.isFinite(share)) throw new RangeError(`a share must be finite, got ${share}`);
  const known = Math.min(1, Math.max(0, share));
  const moved = clippingNorm * Math.exp(-learningRate * (known - targetQuantile));
  const next = Math.min(maxNorm, Math.max(minNorm, moved));
  if (!(next > 0 && next < Infinity)) {
    throw new RangeError(`the next clipping norm after ${clippingNorm} would be ${next}`);
  }
  return next;
}
