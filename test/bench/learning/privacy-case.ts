/** Accuracy over epsilon: the private digits case through a real coordinator, once for each of its plans. */

import { calibrateNoise } from "@tributary/coordinator/privacy";
import { openTraining, startFleetPool } from "@tributary/example-digits";
import type { DigitsJob } from "@tributary/example-digits";

import type { PrivacyCase, PrivacyPlan } from "./cases.ts";

export interface PrivacyPoint {
  readonly round: number;
  /** Spent up to and with this round, as the coordinator says it. */
  readonly epsilon: number;
  readonly accuracy: number;
  readonly loss: number;
}

export interface PrivacyRun {
  readonly noiseMultiplier: number;
  /** What the noise was calibrated to, where it was. */
  readonly targetEpsilon?: number;
  readonly serverLearningRate: number;
  readonly rounds: number;
  readonly endReason: string;
  /** Of the last model. */
  readonly epsilon: number;
  readonly accuracy: number;
  readonly statement: string;
  readonly abandonedRounds: number;
  readonly seconds: number;
  readonly curve: readonly PrivacyPoint[];
}

/** The most accurate of the models that cost at most `epsilon`, over all plans. */
export interface AccuracyAt {
  readonly epsilon: number;
  readonly accuracy: number;
  readonly noiseMultiplier: number;
  readonly round: number;
}

export interface PrivacyResult {
  readonly case: string;
  readonly seed: number;
  readonly backend: string;
  readonly clients: number;
  readonly samplingRate: number;
  readonly clippingNorm: number;
  readonly delta: number;
  readonly goal: PrivacyCase["goal"];
  readonly reached: boolean;
  readonly accuracyAtEpsilon: readonly AccuracyAt[];
  readonly runs: readonly PrivacyRun[];
}

export interface PrivacyRunOptions {
  /** Of the partition's clients, the first weights and the batches; cohorts and noise have none. */
  readonly seed: number;
  readonly maxRounds?: number;
  /** Processes that train; 0 is this one. */
  readonly processes: number;
  readonly onPlan?: (noiseMultiplier: number, plan: PrivacyPlan) => void;
  readonly onRound?: (point: PrivacyPoint) => void;
  /** After each plan, with all until then: one takes minutes. */
  readonly onResult?: (result: PrivacyResult) => Promise<void>;
}

/** @throws Error without the writers' file */
export async function runPrivacyCase(
  privacyCase: PrivacyCase,
  options: PrivacyRunOptions,
): Promise<PrivacyResult> {
  const runs: PrivacyRun[] = [];
  let backend = "";
  for (const plan of privacyCase.plans) {
    const measured = await runPlan(privacyCase, plan, options);
    runs.push(measured.run);
    backend = measured.backend;
    await options.onResult?.(resultOf(privacyCase, options.seed, backend, runs));
  }
  return resultOf(privacyCase, options.seed, backend, runs);
}

function resultOf(
  { name, job, clippingNorm, delta, goal, epsilons }: PrivacyCase,
  seed: number,
  backend: string,
  runs: readonly PrivacyRun[],
): PrivacyResult {
  const best = bestWithin(goal.epsilon, runs);
  return {
    case: name,
    seed,
    backend,
    clients: job.clients,
    samplingRate: job.cohort / job.clients,
    clippingNorm,
    delta,
    goal,
    reached: best !== undefined && best.accuracy >= goal.accuracy,
    accuracyAtEpsilon: epsilons.flatMap((epsilon) => bestWithin(epsilon, runs) ?? []),
    runs: [...runs],
  };
}

async function runPlan(
  { name, job: settings, clippingNorm, delta }: PrivacyCase,
  plan: PrivacyPlan,
  options: PrivacyRunOptions,
): Promise<{ readonly run: PrivacyRun; readonly backend: string }> {
  const { seed, processes, onRound } = options;
  const noiseMultiplier = noiseOf(plan, delta, settings.cohort / settings.clients);
  options.onPlan?.(noiseMultiplier, plan);
  const job: DigitsJob = {
    ...settings,
    taskId: name,
    seed,
    serverLearningRate: plan.serverLearningRate,
    maxRounds: Math.min(plan.rounds, options.maxRounds ?? plan.rounds),
    // Without a target the rounds end it.
    privacy: { noiseMultiplier, clippingNorm, delta, maxEpsilon: plan.targetEpsilon ?? 100 },
  };
  await using training = await openTraining({ job, storage: { kind: "memory" } });
  const curve: PrivacyPoint[] = [];
  const failure = new AbortController();
  const startedAt = performance.now();
  training.watch((event) => {
    if (event.type !== "round:phaseChanged" || event.data.phase !== "committed") return;
    const { roundNumber, evaluation, epsilon } = event.data;
    const point = {
      round: roundNumber,
      epsilon: epsilon ?? Number.NaN,
      accuracy: evaluation?.accuracy ?? Number.NaN,
      loss: evaluation?.loss ?? Number.NaN,
    };
    curve.push(point);
    onRound?.(point);
  });
  const fail = (message: string) => failure.abort(new Error(message));
  const fleets = await startFleetPool({ job, url: training.url, processes, onTrouble: fail });
  try {
    const task = await training.ended(failure.signal);
    const privacy = await training.privacy();
    if (privacy.mechanism !== "central") throw new Error(`the task has no privacy`);
    const run: PrivacyRun = {
      noiseMultiplier,
      ...(plan.targetEpsilon === undefined ? {} : { targetEpsilon: plan.targetEpsilon }),
      serverLearningRate: plan.serverLearningRate,
      rounds: task.roundsCommitted,
      endReason: task.endReason,
      epsilon: privacy.epsilon,
      accuracy: task.evaluation?.accuracy ?? Number.NaN,
      statement: privacy.statement,
      abandonedRounds: task.roundsAbandoned,
      seconds: (performance.now() - startedAt) / 1000,
      curve,
    };
    return { run, backend: fleets.backend };
  } finally {
    await fleets.close();
  }
}

/** @throws Error for a plan that says neither its noise nor its epsilon */
function noiseOf(plan: PrivacyPlan, delta: number, samplingRate: number): number {
  const { noiseMultiplier, targetEpsilon, rounds } = plan;
  if (noiseMultiplier !== undefined) return noiseMultiplier;
  if (targetEpsilon === undefined) throw new Error("a plan needs its noise or its epsilon");
  return calibrateNoise({ targetEpsilon, delta, samplingRate, rounds }).noiseMultiplier;
}

/** @returns undefined when every model of every run cost more */
export function bestWithin(
  epsilon: number,
  runs: readonly Pick<PrivacyRun, "noiseMultiplier" | "curve">[],
): AccuracyAt | undefined {
  const points = runs.flatMap(({ noiseMultiplier, curve }) =>
    // The last that the budget covers, not the best on the test images: nobody chooses by those.
    curve
      .filter((point) => point.epsilon <= epsilon)
      .slice(-1)
      .map(({ accuracy, round }) => ({
        epsilon,
        accuracy,
        noiseMultiplier,
        round,
      })),
  );
  return points.reduce<AccuracyAt | undefined>(
    (best, point) => (best === undefined || point.accuracy > best.accuracy ? point : best),
    undefined,
  );
}
