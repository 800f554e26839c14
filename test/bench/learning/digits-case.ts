/** One digits case through a real coordinator, with its curve. */

import { openTraining, startFleetPool } from "@tributary/example-digits";

import type { DigitsCase } from "./cases.ts";

export interface CurvePoint {
  readonly round: number;
  readonly accuracy: number;
  readonly loss: number;
  readonly reports: number;
}

export interface DigitsResult {
  readonly case: string;
  readonly seed: number;
  readonly backend: string;
  readonly targetAccuracy: number;
  readonly goalRounds: number;
  /** Round in which the target was reached; absent when it was not. */
  readonly roundsToTarget?: number;
  readonly reached: boolean;
  readonly best: number;
  readonly accuracyBefore: number;
  readonly abandonedRounds: number;
  readonly seconds: number;
  readonly curve: readonly CurvePoint[];
}

export interface DigitsRunOptions {
  readonly seed: number;
  readonly maxRounds?: number;
  /** Processes that train; 0 is this one. */
  readonly processes: number;
  readonly onRound?: (point: CurvePoint) => void;
}

/** Trains until the target is reached, or `maxRounds`. */
export async function runDigitsCase(
  { name, job: settings, targetAccuracy, goalRounds, maxRounds }: DigitsCase,
  options: DigitsRunOptions,
): Promise<DigitsResult> {
  const { seed, processes, onRound } = options;
  const job = {
    ...settings,
    taskId: name,
    seed,
    targetAccuracy,
    maxRounds: options.maxRounds ?? maxRounds,
  };
  await using training = await openTraining({ job, storage: { kind: "memory" } });
  const curve: CurvePoint[] = [];
  const failure = new AbortController();
  const startedAt = performance.now();
  training.watch((event) => {
    if (event.type !== "round:phaseChanged" || event.data.phase !== "committed") return;
    const { roundNumber, evaluation, participants } = event.data;
    const point = {
      round: roundNumber,
      accuracy: evaluation?.accuracy ?? Number.NaN,
      loss: evaluation?.loss ?? Number.NaN,
      reports: participants?.reported ?? 0,
    };
    curve.push(point);
    onRound?.(point);
  });
  const fail = (message: string) => failure.abort(new Error(message));
  // A run in which a client failed is not the run that the seed names.
  const fleets = await startFleetPool({ job, url: training.url, processes, onTrouble: fail });
  try {
    const task = await training.ended(failure.signal);
    const hit = curve.find(({ accuracy }) => accuracy >= targetAccuracy)?.round;
    return {
      case: name,
      seed,
      backend: fleets.backend,
      targetAccuracy,
      goalRounds,
      ...(hit === undefined ? {} : { roundsToTarget: hit }),
      reached: hit !== undefined && hit <= goalRounds,
      best: Math.max(...curve.map(({ accuracy }) => accuracy)),
      accuracyBefore: training.before.accuracy ?? Number.NaN,
      abandonedRounds: task.roundsAbandoned,
      seconds: (performance.now() - startedAt) / 1000,
      curve,
    };
  } finally {
    await fleets.close();
  }
}
