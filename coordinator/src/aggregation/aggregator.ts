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
  add(input: AggregatorInput): void;
  /** The live weighted sum of the deltas. */
  sum(): Float64Array;
  /** sum / totalWeight. @throws RangeError when nothing was added */
  mean(): Float64Array;
}
