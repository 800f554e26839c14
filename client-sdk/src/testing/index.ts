/** For the tests of apps that embed the SDK. */

export { startTestCoordinator } from "./coordinator.ts";
export type { TestCoordinator } from "./coordinator.ts";
export { createTrivialTrainer } from "./trivial-trainer.ts";
export type { TrivialTrainer, TrivialTrainerOptions } from "./trivial-trainer.ts";
