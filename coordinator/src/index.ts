/** The coordinator as a library: create it, give it tasks, listen. */

export { createCoordinator } from "./coordinator.ts";
export type { Addresses, Coordinator, CoordinatorOptions } from "./coordinator.ts";
export type { Config, ConfigInput } from "./config/schema.ts";
export type {
  EnrolmentRegistry,
  EventFeed,
  Evaluator,
  Logger,
  ModelRegistry,
  PageRequest,
  SigningKeys,
  TaskRegistry,
} from "./ports.ts";
export { VERSION } from "./version.ts";
