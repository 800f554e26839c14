/** The virtual clients of a simulation as their author brings them: how many, and what each trains with. */

import type {
  EvaluationSums,
  Layout,
  TaskSpec,
  TrainingPlan,
  UpdateMetrics,
} from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Evaluator } from "../ports.ts";

/** What a trainer is given: the request of the client SDK's `Trainer`, which fits as it is. */
export interface SimulatedTraining {
  /** The received model, flat, in layout order: a copy, which the trainer may work in. */
  readonly weights: Float32Array;
  readonly layout: Layout;
  /** With a seed in any case: the task's, or one of the simulation's for this client and round. */
  readonly plan: TrainingPlan;
  readonly signal: AbortSignal;
}

/** The client SDK's `Trainer`, by its shape: TF.js trainers and an app's own fit as they are. */
export interface SimulatedTrainer {
  train(request: SimulatedTraining): Promise<{
    readonly weights: Float32Array;
    readonly numExamples: number;
    readonly metrics: UpdateMetrics;
  }>;
  evaluate?(request: Omit<SimulatedTraining, "plan">): Promise<EvaluationSums | undefined>;
  dispose?(): void;
}

/**
 * The clients of one simulation, in one thread. What all of them share (a data set, a model, a backend) belongs into
 * whatever makes this; what one client needs is made by `trainer`, each time that it trains, and disposed after it.
 */
export interface ClientPopulation {
  /** Number of clients; they are numbered from 0. */
  readonly size: number;
  /**
   * Makes what client `index` trains with. The same index must give the same client, in whatever thread and however
   * often: a client's data follow from its number.
   */
  trainer(index: number): SimulatedTrainer | Promise<SimulatedTrainer>;
  /** Judges each version; also for a task whose `evaluation` names a central evaluator, whatever its name. */
  readonly evaluator?: Evaluator;
  /** Version 0, flat, in layout order; zeros when absent. */
  readonly initialWeights?: Float32Array;
  /** When the thread ends of its own accord. */
  dispose?(): void;
}

export interface PopulationSettings {
  /** Of the simulation: where data are dealt or made, they follow from it. */
  readonly seed: number;
  /** Complete, every default filled in. */
  readonly task: TaskSpec;
  readonly layout: Layout;
}

/** Makes the clients; called once in every thread that trains, with the same settings. */
export type PopulationSource = (
  settings: PopulationSettings,
) => ClientPopulation | Promise<ClientPopulation>;

/** A default export may be anything: of what is not called `clients` it must look like them. */
const looksLikeClients = (value: unknown): boolean =>
  typeof value === "function" ||
  (typeof value === "object" && value !== null && "trainer" in value);

/**
 * Makes the clients of a module: what it exports as `clients`, or by default, is a {@link ClientPopulation} or a
 * {@link PopulationSource}.
 * @throws FederatedError CONFIG_INVALID for a module that is neither, or fails to make them
 */
export async function populationOf(
  file: string,
  exported: Readonly<Record<string, unknown>>,
  settings: PopulationSettings,
): Promise<ClientPopulation> {
  const name =
    exported.clients !== undefined
      ? "clients"
      : looksLikeClients(exported.default)
        ? "default"
        : undefined;
  if (name === undefined) {
    throw invalid(
      `${file} exports neither \`clients\` nor a default: the coordinator's README says how`,
    );
  }
  const source = exported[name];
  return makePopulation(
    typeof source === "function" ? (source as PopulationSource) : () => source as ClientPopulation,
    settings,
    `what ${file} exports as \`${name}\``,
  );
}

/** @throws FederatedError CONFIG_INVALID */
export async function makePopulation(
  source: PopulationSource,
  settings: PopulationSettings,
  what = "the population of clients",
): Promise<ClientPopulation> {
  let made: unknown;
  try {
    made = await source(settings);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FederatedError("CONFIG_INVALID", `${what} cannot be made: ${reason}`, {
      cause: error,
    });
  }
  assertPopulation(made, what, settings.layout);
  return made;
}

function assertPopulation(
  made: unknown,
  what: string,
  { parameterCount }: Layout,
): asserts made is ClientPopulation {
  if (typeof made !== "object" || made === null) {
    throw invalid(`${what} must be an object with \`size\` and \`trainer\``);
  }
  const { size, trainer, evaluator, initialWeights } = made as Partial<
    Record<keyof ClientPopulation, unknown>
  >;
  if (!(Number.isSafeInteger(size) && Number(size) >= 1 && Number(size) <= MOST_CLIENTS)) {
    throw invalid(`${what} has size ${String(size)}; it must be 1 to ${MOST_CLIENTS} clients`);
  }
  if (typeof trainer !== "function") {
    throw invalid(`${what} has no function \`trainer\` that makes the trainer of a client`);
  }
  const judge = evaluator as Partial<Evaluator> | undefined;
  if (judge !== undefined && typeof judge.evaluate !== "function") {
    throw invalid(`${what} has an \`evaluator\` without a function \`evaluate\``);
  }
  if (initialWeights === undefined) return;
  if (!(initialWeights instanceof Float32Array) || initialWeights.length !== parameterCount) {
    throw invalid(
      `${what} has \`initialWeights\` that are no Float32Array of ${parameterCount} elements`,
    );
  }
}

/** Each needs some hundred bytes, and comes by at least once. */
const MOST_CLIENTS = 10_000_000;

const invalid = (message: string) => new FederatedError("CONFIG_INVALID", message);
