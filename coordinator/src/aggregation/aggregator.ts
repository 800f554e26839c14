/** What every aggregator is: clients' deltas go in one by one, a sum and a mean come out. */

export interface AggregatorInput {
  /** trained - received, flat, validated. Not kept. */
  readonly delta: Float32Array;
  readonly numExamples: number;
}

export interface Aggregator {
  /** Deltas added so far. */
  readonly count: number;
  /** Sum of their weights. */
  readonly totalWeight: number;
  /** @throws RangeError for another length or a senseless weight; the sum is as it was then */
  add(input: AggregatorInput): void;
  /** The live weighted sum of the deltas. */
  sum(): Float64Array;
  /**
   * sum / denominator, a new vector. The denominator is `totalWeight` unless a public one is given,
   * which does not depend on who reported.
   * @throws RangeError when it is not positive and finite, as without any delta
   */
  mean(denominator?: number): Float64Array;
}
