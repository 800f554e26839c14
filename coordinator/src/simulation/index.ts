/** Rounds of virtual clients: the service's own rounds, sums and noise, without sockets. */

export type { Behaviour, BehaviourInput } from "./behaviour.ts";
export type {
  ClientPopulation,
  PopulationSettings,
  PopulationSource,
  SimulatedTrainer,
  SimulatedTraining,
} from "./population.ts";
export type {
  SimulatedPrivacy,
  SimulatedRound,
  SimulationEnd,
  SimulationPace,
  SimulationReport,
  SimulationResult,
  SimulationStall,
  SimulationTotals,
} from "./report.ts";
export type { SimulatedClients, SimulationOptions, SimulationProgress } from "./settings.ts";
export { simulate, simulatedClientKey } from "./simulate.ts";
export type { SyntheticOptions } from "./synthetic-clients.ts";
export { syntheticClients } from "./synthetic-clients.ts";
