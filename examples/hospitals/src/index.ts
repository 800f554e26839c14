/** The parts of the hospitals example that the learning benchmark runs, too. */

export { compareStrategies } from "./experiment.ts";
export type { Comparison, Row } from "./experiment.ts";
export { CENTRES, hospitalsFrom } from "./heart-disease.ts";
export type { Hospital, Patient } from "./heart-disease.ts";
export { DataMissingError, loadDataSet } from "./loader.ts";
export { FED_HEART_DISEASE } from "./registry.ts";
export { SEEDS, STRATEGIES } from "./strategies.ts";
export type { Strategy } from "./strategies.ts";
