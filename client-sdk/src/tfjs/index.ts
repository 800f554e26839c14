/** `@tributary/client-sdk/tfjs`: train and serve TensorFlow.js layers models. Node and browser. */

export { setFirstBackend, type BackendCandidate, type BackendChoice } from "./backend.ts";
export type { Dataset, DatasetSource } from "./dataset.ts";
export type { CustomLoss, LossOptions } from "./loss.ts";
export type { TensorFlow } from "./tensorflow.ts";
export {
  createTfjsPredictor,
  type NestedNumbers,
  type PredictorInput,
  type TfjsPredictorOptions,
} from "./tfjs-predictor.ts";
export { createTfjsTrainer, type TfjsTrainerOptions } from "./tfjs-trainer.ts";
export { registerTrainingKernels } from "./wasm-training-kernels.ts";
export { describeModel, readWeights, tensorSpecsOf, writeWeights } from "./weights.ts";
