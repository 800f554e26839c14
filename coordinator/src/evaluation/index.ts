/** Central evaluation: judges each version on data that the coordinator's operator holds. */

export { createTfjsEvaluator } from "./tfjs-evaluator.ts";
export type { HeldOutSet, TensorFlow, TfjsEvaluatorOptions } from "./tfjs-evaluator.ts";
export type { Evaluator } from "../ports.ts";
