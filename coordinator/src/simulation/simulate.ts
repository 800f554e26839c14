/**
 * A task as it would run, in one process and in virtual time: the service's own engine, intake, sums and noise, without
 * sockets and without a disk. Everything that is random comes from one seed, and time from one queue, so that the same
 * settings give the same bytes, whatever machine and however many threads.
 */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

import type { ClientId, Digest, Evaluation, RoundId, TaskId } from "@tributary/protocol";
import { createLayout, decodeCheckpoint, FederatedError } from "@tributary/protocol";

import { createSumMemories } from "../aggregation/kernel/sum-memories.ts";
import type { AssignmentTokens } from "../clients/assignment-token.ts";
import { clientIdOf } from "../clients/pseudonym.ts";
import { resolveConfig } from "../config/schema.ts";
import type { BlobKeeper } from "../model/blob-keeper.ts";
import { createBlobKeeper } from "../model/blob-keeper.ts";
import { createModelRegistry } from "../model/registry.ts";
import { openSigner } from "../model/signer.ts";
import type { Store } from "../ports.ts";
import { createSecureRandom } from "../privacy/random.ts";
import { createReckoner } from "../privacy/reckoner.ts";
import type { RoundEngine } from "../round/engine.ts";
import { startRoundEngine } from "../round/engine.ts";
import { createUpdateIntake } from "../round/intake.ts";
import { createSeededUniform } from "../round/sampler.ts";
import { mixSeed } from "../round/seed.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { createTaskRegistry } from "../task/registry.ts";
import { createHabits } from "./behaviour.ts";
import { keepsRest } from "./encode-delta.ts";
import type { Fleet } from "./fleet.ts";
import { createFleet } from "./fleet.ts";
import type {
  SimulatedRound,
  SimulationEnd,
  SimulationReport,
  SimulationResult,
} from "./report.ts";
import { simulatedRound, totalsOf } from "./report.ts";
import { privacyOf, seededNoise } from "./seeded-noise.ts";
import { seedFor } from "./seeded.ts";
import type { SimulationOptions, SimulationSettings } from "./settings.ts";
import { resolveSettings } from "./settings.ts";
import { stallOf } from "./stall.ts";
import type { TrainingPool } from "./training-pool.ts";
import { openTrainingHere, openTrainingPool } from "./training-pool.ts";
import { createVirtualClock } from "./virtual-clock.ts";
import { createWatch } from "./watch.ts";

/** The first of January 2030: a day like any other, so that times in records look like times. */
const EPOCH = Date.UTC(2030, 0, 1);
/** So many abandoned rounds in a row say that no other outcome is to be expected. */
const STALLED_AFTER = 20;
/** Between two looks at the progress, which take a while where clients are many. */
const PROGRESS_MS = 50;
/** Between two turns of the event loop, in which signals and timers are heard: virtual time alone takes none. */
const TURN_MS = 50;
/** History that is kept in memory; the report has its own. */
const KEEP = { rounds: 16, modelVersions: 2 };

/**
 * Runs the task to its end, to a limit, or until `signal` aborts.
 * @throws FederatedError CONFIG_INVALID for what cannot be run, UNAVAILABLE where a thread dies
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const settings = resolveSettings(options);
  const { spec, seed, threads } = settings;
  const { clients } = options;
  const layout = await createLayout(spec.model.tensors);
  const population = { seed, task: spec, layout };
  const pool =
    clients.kind === "program"
      ? await openTrainingHere(clients.source, population)
      : await openTrainingPool(clients, population, threads);
  const interrupt = () => {
    void pool.close(new FederatedError("ABORTED", "the simulation was interrupted"));
  };
  options.signal?.addEventListener("abort", interrupt, { once: true });
  const { reckon, close } = createReckoner();
  try {
    if (options.signal?.aborted === true) interrupt();
    return await run(options, settings, pool, reckon);
  } finally {
    options.signal?.removeEventListener("abort", interrupt);
    await Promise.all([pool.close(), close()]);
  }
}

/**
 * The secret that client `index` of a simulation would have: whoever knows the seed can be that client, which is right
 * for an experiment, such as to let real clients have the ids of virtual ones, and for nothing else.
 */
export const simulatedClientKey = (seed: number, index: number): string =>
  createHash("sha256").update(`simulated client ${seed} ${index}`).digest("base64url");

/** In one process there is nobody to forge one. */
const plainTokens: AssignmentTokens = {
  sign: ({ roundId, clientId, expiresAt }) => `${roundId}~${clientId}~${expiresAt}`,
  read: (token = "") => {
    const [roundId, clientId, expiresAt] = token.split("~");
    return {
      roundId: roundId as RoundId,
      clientId: clientId as ClientId,
      expiresAt: Number(expiresAt),
    };
  },
  verify: (token) => plainTokens.read(token),
};

async function run(
  options: SimulationOptions,
  settings: SimulationSettings,
  pool: TrainingPool,
  reckon: Parameters<typeof createTaskRegistry>[0]["reckon"],
): Promise<SimulationResult> {
  const { spec, seed, behaviour, threads, virtualMs } = settings;
  const { signal } = options;
  assertEvaluator(settings, pool);
  const layout = await createLayout(spec.model.tensors);
  assertRests(settings, pool, layout.parameterCount);
  const began = performance.now();
  const clock = createVirtualClock(EPOCH);
  const store = createMemoryStore(clock.now);
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  // Who signs changes no bit of a model, and nobody outside ever sees these signatures.
  const signer = await openSigner({ store, clock, random: createSecureRandom() }, {});
  const watch = createWatch();
  const clientIds = await Promise.all(
    Array.from({ length: pool.facts.size }, (_, i) => clientIdOf(simulatedClientKey(seed, i))),
  );
  const habits = createHabits(behaviour, seed);
  const fleet = createFleet({
    ...{ clock, pool, habits, shelf, spec, layout, clientIds, restMs: behaviour.restMs },
  });
  const sumMemories = createSumMemories();
  const { timing, limits } = resolveConfig({});
  const { roundsPerClientPerDay } = options;
  let engine: RoundEngine | undefined;
  const tasks = createTaskRegistry({
    ...{ store, blobs, shelf, signer, clock, reckon },
    events: { emit: watch.emit },
    evaluatorNames: spec.evaluation.kind === "central" ? [spec.evaluation.evaluator] : [],
    robustMemoryBytes: limits.robustMemoryBytes,
    startEngine: async (task) => {
      engine = await startRoundEngine(
        {
          ...{ store, blobs, shelf, clock, reckon, signer, sumMemories },
          ...{ logger: watch.logger, events: { emit: watch.emit }, tokens: plainTokens },
          ...{ noise: seededNoise(settings), gateway: fleet.gateway },
          isConnected: fleet.isConnected,
          uniformFor: ({ spec: { sampler } }, roundNumber) =>
            createSeededUniform(
              sampler.kind !== "all" && sampler.seed !== undefined
                ? mixSeed(sampler.seed, roundNumber)
                : seedFor(seed, "cohort", roundNumber),
            ),
          ...(pool.facts.hasEvaluator
            ? { evaluator: { evaluate: (weights) => pool.evaluate(weights) } }
            : {}),
        },
        task,
        { ...timing, ...(roundsPerClientPerDay === undefined ? {} : { roundsPerClientPerDay }) },
      );
      return engine;
    },
  });
  await tasks.create(spec, options.initialWeights ?? pool.facts.initialWeights);
  if (engine === undefined) throw new Error("a task was created without its engine");
  const running = engine;
  const intake = createUpdateIntake({
    tokens: plainTokens,
    clock,
    authenticator: { assertAdmitted: async () => {} },
    engineOf: () => running,
  });
  fleet.start(running, intake);

  const { taskId } = spec;
  const rounds: SimulatedRound[] = [];
  let toldAt = -Infinity;
  let turnAt = performance.now();
  let newest = await newestModel(store, taskId);
  let end: SimulationEnd | undefined;
  while (end === undefined) {
    try {
      const step = clock.step(virtualMs);
      if (step === undefined) end = { kind: clock.isEmpty() ? "nobodyLeft" : "timeIsUp" };
      await step;
      await running.settled();
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
    if (performance.now() - turnAt > TURN_MS) {
      await setImmediate();
      turnAt = performance.now();
    }
    // What an interruption has cut short is not what the seed gives.
    if (signal?.aborted === true) {
      end = { kind: "interrupted" };
      break;
    }
    for (const round of watch.ended()) {
      const told = simulatedRound(round, EPOCH, fleet.traffic(round.roundId));
      fleet.forget(round.roundId);
      rounds.push(told);
      if (told.phase === "committed") newest = await newestModel(store, taskId);
      await forgetOld(store, blobs, taskId);
      options.onRound?.(told);
    }
    if (options.onProgress !== undefined && performance.now() - toldAt > PROGRESS_MS) {
      toldAt = performance.now();
      tellProgress(options, settings, { rounds, running, fleet, virtualMs: clock.monotonicMs() });
    }
    const reason = fleet.ended();
    if (reason !== undefined) end = { kind: "taskEnded", reason };
    const abandonedInARow = rounds.length - 1 - rounds.findLastIndex(isCommitted);
    if (abandonedInARow >= STALLED_AFTER) end ??= { kind: "stalled", abandonedInARow };
  }
  await running.stop(0);
  const { arrived, clientsSelected, mostUpdates, failures } = fleet.facts();
  const seconds = (performance.now() - began) / 1000;
  const privacy = privacyOf(settings, rounds, mostUpdates);
  const judged = newest.evaluation;
  const stall = stallOf({ spec, clients: clientIds.length, end, rounds });
  const report: SimulationReport = {
    ...{ kind: "simulation", taskId, seed, clients: clientIds.length },
    problem: options.clients.kind,
    end,
    ...(stall === undefined ? {} : { stall }),
    rounds,
    totals: totalsOf(rounds, { virtualMs: clock.monotonicMs(), clientsSelected }),
    model: { modelVersion: newest.modelVersion, digest: newest.digest },
    ...(judged === undefined ? {} : { evaluation: judged }),
    ...(privacy === undefined ? {} : { privacy }),
    ...(failures === undefined ? {} : { failures }),
    warnings: watch.warnings(),
  };
  const { weights } = decodeCheckpoint(layout, await frameOf(blobs, newest.digest));
  return {
    report,
    weights,
    pace: { threads, seconds, clientsPerSecond: arrived / seconds, trained: pool.trained() },
  };
}

const isCommitted = ({ phase }: SimulatedRound): boolean => phase === "committed";

/** @throws FederatedError CONFIG_INVALID where nothing would judge the task's model as the task says */
function assertEvaluator({ spec: { evaluation } }: SimulationSettings, { facts }: TrainingPool) {
  if (evaluation.kind !== "central" || facts.hasEvaluator) return;
  const message = `is "${evaluation.evaluator}", and the clients bring no evaluator: add one, or set evaluation.kind to "none"`;
  throw new FederatedError("CONFIG_INVALID", `the simulation: evaluation.evaluator ${message}`, {
    details: { faults: [{ path: "evaluation.evaluator", message }] },
  });
}

/** What clients keep under feedback is the one thing that grows with them and with the model. */
const MOST_REST_BYTES = 4 * 2 ** 30;

/** @throws FederatedError CONFIG_INVALID where that would be too much */
function assertRests(
  { spec: { plan } }: SimulationSettings,
  { facts: { size } }: TrainingPool,
  parameterCount: number,
) {
  const bytes = 4 * size * parameterCount;
  if (!keepsRest(plan.encoding) || bytes <= MOST_REST_BYTES) return;
  const message = `is true, for which ${size} clients may keep ${bytes} bytes of what they did not send; at most ${MOST_REST_BYTES} are allowed: simulate fewer clients`;
  throw new FederatedError("CONFIG_INVALID", `the simulation: plan.encoding.feedback ${message}`, {
    details: { faults: [{ path: "plan.encoding.feedback", message }] },
  });
}

interface NewestModel {
  readonly modelVersion: number;
  readonly digest: Digest;
  /** Of the newest version that was judged. */
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
}

async function newestModel(store: Store, taskId: TaskId): Promise<NewestModel> {
  const version = await store.latestModelVersion(taskId);
  if (version === undefined) throw new Error("the task has lost its versions");
  const judged = await store.latestEvaluatedVersion(taskId);
  return {
    modelVersion: version.modelVersion,
    digest: version.digest,
    ...(judged?.evaluation === undefined
      ? {}
      : { evaluation: { ...judged.evaluation, modelVersion: judged.modelVersion } }),
  };
}

async function frameOf(blobs: BlobKeeper, digest: Digest): Promise<Uint8Array> {
  const frame = await blobs.get(digest);
  if (frame === undefined) throw new Error("the newest model is not kept any more");
  return frame;
}

/** What the service keeps for its API would grow with the rounds. */
async function forgetOld(store: Store, blobs: BlobKeeper, taskId: TaskId): Promise<void> {
  const { blobs: unused } = await store.prune(taskId, KEEP, KEEP.rounds);
  await blobs.discard(unused);
}

interface Situation {
  readonly rounds: readonly SimulatedRound[];
  readonly running: RoundEngine;
  readonly fleet: Fleet;
  readonly virtualMs: number;
}

function tellProgress(
  { onProgress }: SimulationOptions,
  { spec: { stop } }: SimulationSettings,
  { rounds, running, fleet, virtualMs }: Situation,
): void {
  onProgress?.({
    committed: rounds.filter(isCommitted).length,
    virtualMs,
    ...(stop.maxRounds === undefined ? {} : { rounds: stop.maxRounds }),
    reported: running.snapshot().currentRound?.participants?.reported ?? 0,
    arrived: fleet.facts().arrived,
  });
}
