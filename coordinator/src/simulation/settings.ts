/** What a simulation is asked for, checked as a whole before anything is made. */

import type { TaskSpec } from "@tributary/protocol";
import { isCharged } from "@tributary/protocol";

import type { Fault } from "../config/schema.ts";
import { assertNoFaults } from "../config/schema.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import type { Behaviour, BehaviourInput } from "./behaviour.ts";
import { resolveBehaviour } from "./behaviour.ts";
import type { PopulationSource } from "./population.ts";
import type { SimulatedRound, SimulationTotals } from "./report.ts";
import type { PopulationOrigin } from "./training-messages.ts";

/** Clients from a module or from numbers can be made in threads; those of a program train in its own thread. */
export type SimulatedClients =
  PopulationOrigin | { readonly kind: "program"; readonly source: PopulationSource };

export interface SimulationOptions {
  /** A `TaskSpecInput`, as `tributary task create` takes it. */
  readonly task: unknown;
  readonly clients: SimulatedClients;
  /** Decides all that is random: 0 to 2^32 - 1. Default 1. */
  readonly seed?: number;
  readonly behaviour?: BehaviourInput;
  /** Threads that train; 1 for clients of a program. Default 1. */
  readonly threads?: number;
  /** Ends after so many committed rounds, if the task does not end before. */
  readonly rounds?: number;
  /** Ends at this time of the virtual clock. Default: a year. */
  readonly virtualMs?: number;
  /** Version 0, flat, in layout order; default: the clients', else zeros. */
  readonly initialWeights?: Float32Array;
  /** As `limits.roundsPerClientPerDay` of the coordinator, whose days are virtual. */
  readonly roundsPerClientPerDay?: number;
  /** Ends the simulation cleanly, with what there is. */
  readonly signal?: AbortSignal;
  readonly onRound?: (round: SimulatedRound) => void;
  /** Told some twenty times a second of real time. */
  readonly onProgress?: (progress: SimulationProgress) => void;
}

export interface SimulationProgress extends Pick<SimulationTotals, "committed" | "virtualMs"> {
  /** Committed rounds after which it ends; absent where a budget or the time ends it. */
  readonly rounds?: number;
  /** Updates of the open round. */
  readonly reported: number;
  /** Updates that have arrived so far. */
  readonly arrived: number;
}

export interface SimulationSettings {
  readonly spec: TaskSpec;
  readonly behaviour: Behaviour;
  readonly seed: number;
  readonly threads: number;
  readonly virtualMs: number;
}

const MAX_SEED = 2 ** 32 - 1;
const MOST_THREADS = 256;
const YEAR_MS = 365 * 86_400_000;
const MOST_ROUNDS = 1_000_000;

/** @throws FederatedError CONFIG_INVALID, with all faults of one kind in `details.faults` */
export function resolveSettings(options: SimulationOptions): SimulationSettings {
  const { seed = 1, threads = 1, virtualMs = YEAR_MS, rounds, roundsPerClientPerDay } = options;
  const behaviour = resolveBehaviour(options.behaviour);
  const written = resolveTaskSpec(options.task);
  const faults: Fault[] = [];
  const whole = (path: string, value: number, least: number, most: number) => {
    if (Number.isInteger(value) && value >= least && value <= most) return;
    faults.push({ path, message: `is ${value}; it must be an integer from ${least} to ${most}` });
  };
  whole("seed", seed, 0, MAX_SEED);
  whole("threads", threads, 1, MOST_THREADS);
  if (rounds !== undefined) whole("rounds", rounds, 1, MOST_ROUNDS);
  if (roundsPerClientPerDay !== undefined) {
    whole("roundsPerClientPerDay", roundsPerClientPerDay, 1, MOST_ROUNDS);
  }
  if (!(virtualMs > 0 && virtualMs <= 100 * YEAR_MS)) {
    const message = `is ${virtualMs}; it must be above 0 and at most ${100 * YEAR_MS}, a hundred years`;
    faults.push({ path: "virtualMs", message });
  }
  if (options.clients.kind === "program" && threads > 1) {
    const message = `is ${threads}, and a program's clients train in its own thread; give a module`;
    faults.push({ path: "threads", message });
  }
  const most = Math.min(rounds ?? Infinity, written.stop.maxRounds ?? Infinity);
  const spec =
    most === Infinity ? written : { ...written, stop: { ...written.stop, maxRounds: most } };
  if (most === Infinity && !isCharged(spec) && options.virtualMs === undefined) {
    const message =
      "is not set, and nothing else ends the task: set it, or give `rounds` or `virtualMs` (--rounds, --days)";
    faults.push({ path: "stop.maxRounds", message });
  }
  assertNoFaults("the simulation", faults);
  return { spec, behaviour, seed, threads, virtualMs };
}
