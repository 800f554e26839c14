/** The parts of the digits demo that the learning benchmark runs, too. */

export { loadMnist, loadTrainWriters, selectExamples } from "./data.ts";
export type { LabelledImages, Mnist } from "./data.ts";
export { startFleetPool } from "./fleet-pool.ts";
export type { FleetPool, FleetPoolOptions } from "./fleet-pool.ts";
export type { DigitsJob, DigitsPrivacy } from "./job.ts";
export { createModel, PARAMETER_COUNTS } from "./model.ts";
export type { ModelKind } from "./model.ts";
export { partitionImages } from "./partition.ts";
export type { Partition, PartitionSpec } from "./partition.ts";
export { createSeededRandom } from "./random.ts";
export { openTraining } from "./training.ts";
export type { Training, TrainingOptions } from "./training.ts";
