/** What is compared: encodings of the same training, seed for seed with the same clients and rounds. */

import type { Encoding } from "@tributary/protocol";

export interface BytesCase {
  readonly name: string;
  readonly encoding: Encoding;
}

const share = (
  kind: "topK" | "randomK",
  percent: number,
  values: "float32" | "bfloat16" | "int8" | "int4",
  feedback = true,
): BytesCase => ({
  name: `${kind} ${percent} % ${values}${feedback ? "" : ", no feedback"}`,
  encoding: { kind, fraction: percent / 100, values, feedback },
});

/** In the order in which they are run: what the goals need first, the reference before all. */
export const BYTES_CASES: readonly BytesCase[] = [
  { name: "float32", encoding: { kind: "float32" } },
  share("randomK", 10, "int8", false),
  share("topK", 10, "int8"),
  { name: "int4", encoding: { kind: "int4" } },
  share("topK", 3, "int4"),
  share("randomK", 10, "int8"),
  { name: "int8", encoding: { kind: "int8" } },
  share("topK", 1, "int8"),
  { name: "bfloat16", encoding: { kind: "bfloat16" } },
  share("topK", 1, "int8", false),
];

export interface BytesSettings {
  readonly model: "cnn" | "mlp";
  readonly clients: number;
  /** Clients in a round, each subset as likely as any other. */
  readonly cohort: number;
  /** Training images of each client. */
  readonly examples: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly rounds: number;
  /** Accuracy is the mean of the models after so many last rounds: one model's is a matter of luck. */
  readonly lastRounds: number;
  /** Test images, evenly from all: most of the time would go into judging otherwise. */
  readonly testImages: number;
}

/** Small enough for an afternoon of two cores, and long enough that the model is past its steep beginning. */
export const DEFAULT_SETTINGS: BytesSettings = {
  ...{ model: "cnn", clients: 8, cohort: 4, examples: 120 },
  ...{ batchSize: 10, learningRate: 0.1, rounds: 26, lastRounds: 2, testImages: 5000 },
};

/** Images, initial model, cohorts and chance come from a seed. Between two of them float32 itself moves by tenths of a point. */
export const DEFAULT_SEEDS: readonly number[] = [1, 2, 3];

/** At most so large a share of the float32 bytes may be sent, and so many points of accuracy lost in the mean of seeds. */
export interface BytesGoal {
  readonly share: number;
  readonly points: number;
}

export const GOALS: readonly BytesGoal[] = [
  { share: 1 / 8, points: 0.2 },
  { share: 1 / 32, points: 1 },
];
