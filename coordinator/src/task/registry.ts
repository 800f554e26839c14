/** The tasks of this coordinator, each with its engine. */

import type { ServingCopies, TaskId, TaskResource, TaskSpecInput } from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  FederatedError,
  isFederatedError,
  parseRoundId,
} from "@tributary/protocol";

import type { BlobKeeper } from "../model/blob-keeper.ts";
import { manifestOf } from "../model/manifest.ts";
import type { ModelShelf } from "../model/registry.ts";
import { makeCopies } from "../model/serving-copies.ts";
import type { ModelSigner } from "../model/signer.ts";
import { blobsOf } from "../model/version-blobs.ts";
import type { Clock, EventSink, Store, TaskRecord, TaskRegistry } from "../ports.ts";
import type { Reckon } from "../privacy/reckoner.ts";
import { privacyResource } from "../round/budget.ts";
import type { RoundEngine } from "../round/engine.ts";
import { roundResource } from "../round/progress.ts";
import { robustMemoryFault } from "./robust-memory.ts";
import { resolveTaskSpec } from "./spec.ts";

export interface TaskRegistryDeps {
  readonly store: Store;
  readonly blobs: Pick<BlobKeeper, "settle">;
  readonly shelf: ModelShelf;
  readonly signer: Pick<ModelSigner, "signAndSave">;
  readonly clock: Clock;
  readonly events: EventSink;
  /** For what the budget is asked. */
  readonly reckon: Reckon;
  readonly startEngine: (task: TaskRecord) => Promise<RoundEngine>;
  /** Names of the central evaluators that the operator registered. */
  readonly evaluatorNames: readonly string[];
  /** For the rounds of all tasks with a robust aggregation together. */
  readonly robustMemoryBytes: number;
}

/** The registry with the side that only the coordinator itself may use. */
export interface TaskHouse extends TaskRegistry {
  engineOf(taskId: TaskId): RoundEngine | undefined;
  engines(): readonly RoundEngine[];
  /** Starts the engines of all tasks in the store. */
  start(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

/** What the file of a checkpoint that was cut, changed or lost ends in. */
const DAMAGES: readonly string[] = ["CHECKPOINT_CORRUPT", "MODEL_NOT_FOUND"];

export function createTaskRegistry(deps: TaskRegistryDeps): TaskHouse {
  const { store, shelf, clock, events } = deps;
  const engines = new Map<TaskId, RoundEngine>();

  const requireEngine = (taskId: TaskId): RoundEngine => {
    const engine = engines.get(taskId);
    if (engine === undefined) throw new FederatedError("TASK_NOT_FOUND", `no task "${taskId}"`);
    return engine;
  };

  const resource = async (engine: RoundEngine): Promise<TaskResource> => {
    const { task, ...live } = engine.snapshot();
    const { taskId, state, endReason, spec, layout } = task;
    const counts = await store.countRounds(taskId);
    const evaluated = await store.latestEvaluatedVersion(taskId);
    const { nextRoundAt, ...situation } = live;
    return {
      taskId,
      state,
      ...(endReason === undefined ? {} : { endReason }),
      createdAt: new Date(task.createdAt).toISOString(),
      spec,
      layout,
      checkpoint: engine.brief().checkpoint,
      roundsCommitted: counts.committed,
      roundsAbandoned: counts.abandoned,
      ...situation,
      ...(evaluated?.evaluation === undefined
        ? {}
        : { evaluation: { ...evaluated.evaluation, modelVersion: evaluated.modelVersion } }),
      ...(nextRoundAt === undefined ? {} : { nextRoundAt: new Date(nextRoundAt).toISOString() }),
    };
  };

  const assertEvaluatorKnown = (spec: TaskRecord["spec"]) => {
    if (spec.evaluation.kind !== "central") return;
    const { evaluator } = spec.evaluation;
    if (deps.evaluatorNames.includes(evaluator)) return;
    const message = `this coordinator has no evaluator "${evaluator}"; it has: ${deps.evaluatorNames.join(", ") || "none"}`;
    throw invalid([{ path: "evaluation.evaluator", message }]);
  };

  /** @throws FederatedError CONFIG_INVALID when its rounds may need more memory than there is beside the others' */
  const assertRoundsFit = (spec: TaskRecord["spec"]) => {
    const others = [...engines.values()]
      .map((engine) => engine.task())
      .filter(({ state }) => state !== "ended");
    const fault = robustMemoryFault(
      spec,
      others.map((task) => task.spec),
      deps.robustMemoryBytes,
    );
    if (fault !== undefined) throw invalid([fault]);
  };

  /** Nobody at the start knows which of the stored tasks is meant, unless told. */
  async function goOn(task: TaskRecord): Promise<RoundEngine> {
    const { taskId, spec, state } = task;
    const { evaluation } = spec;
    if (
      state !== "ended" &&
      evaluation.kind === "central" &&
      !deps.evaluatorNames.includes(evaluation.evaluator)
    ) {
      const known = deps.evaluatorNames.join(", ") || "none";
      throw new FederatedError(
        "CONFIG_INVALID",
        `task "${taskId}" cannot go on: it needs the evaluator "${evaluation.evaluator}", and this coordinator has ${known}; start with the config file or program that brings it`,
      );
    }
    if (state !== "ended") assertRoundsFit(spec);
    try {
      return await deps.startEngine(task);
    } catch (error) {
      if (!isFederatedError(error) || !DAMAGES.includes(error.code)) throw error;
      throw new FederatedError(
        "CHECKPOINT_CORRUPT",
        `task "${taskId}" cannot go on: ${error.message}; \`tributary store verify\` names all files that are damaged or missing, take them from a backup`,
        { cause: error },
      );
    }
  }

  return {
    engineOf: (taskId) => engines.get(taskId),
    engines: () => [...engines.values()],
    start: async () => {
      for (const task of await store.listTasks()) {
        engines.set(task.taskId, await goOn(task));
      }
    },
    stop: async (graceMs) => {
      await Promise.all([...engines.values()].map((engine) => engine.stop(graceMs)));
    },
    create: async (input, initialWeights) => {
      const spec = resolveTaskSpec(input);
      assertEvaluatorKnown(spec);
      assertRoundsFit(spec);
      if (engines.has(spec.taskId)) throw exists(spec.taskId);
      const layout = await layoutOf(input);
      const weights = initialWeights ?? new Float32Array(layout.parameterCount);
      assertWeights(weights, layout.parameterCount);
      const frame = encodeCheckpoint(layout, { modelVersion: 0, weights });
      const createdAt = clock.now();
      const { taskId } = spec;
      const task: TaskRecord = { taskId, spec, layout, state: "running", createdAt };
      const digest = await shelf.save(frame);
      let copies: ServingCopies | undefined;
      try {
        copies = await makeCopies(deps, task, { modelVersion: 0, weights });
        const initial = {
          ...{ taskId, modelVersion: 0, digest, bytes: frame.length, createdAt },
          ...(copies === undefined ? {} : { copies }),
        };
        const manifest = await deps.reckon(() => manifestOf(task, initial, undefined, []));
        await deps.signer.signAndSave(manifest, (signed) =>
          store.createTask(task, { ...initial, signed }),
        );
      } finally {
        for (const blob of blobsOf({ digest, copies })) deps.blobs.settle(blob);
      }
      const engine = await deps.startEngine(task);
      engines.set(taskId, engine);
      events.emit({ type: "task:created", taskId, data: { state: "running" } });
      return resource(engine);
    },
    list: async () => Promise.all([...engines.values()].map(resource)),
    get: async (taskId) => resource(requireEngine(taskId)),
    pause: async (taskId) => {
      const engine = requireEngine(taskId);
      await engine.pause();
      return resource(engine);
    },
    resume: async (taskId) => {
      const engine = requireEngine(taskId);
      await engine.resume();
      return resource(engine);
    },
    cancel: async (taskId) => {
      const engine = requireEngine(taskId);
      await engine.cancel();
      return resource(engine);
    },
    rounds: async (taskId, page) => {
      const { currentRound } = requireEngine(taskId).snapshot();
      const records = await store.listRounds(taskId, page);
      const last = records.at(-1);
      return {
        items: records.map((record) =>
          // The store knows an open round as it was when it was saved last.
          record.roundId === currentRound?.roundId ? currentRound : roundResource(record),
        ),
        ...(last !== undefined && records.length === page.limit && last.roundNumber > 1
          ? { next: last.roundNumber }
          : {}),
      };
    },
    endedRounds: async (taskId, page) => {
      requireEngine(taskId);
      const records = await store.listEndedRounds(taskId, page);
      return records.map((record) => roundResource(record));
    },
    round: async (roundId) => {
      const { taskId, roundNumber } = parseRoundId(roundId);
      const currentRound = engines.get(taskId)?.snapshot().currentRound;
      if (currentRound?.roundId === roundId) return currentRound;
      const record = await store.getRound(roundId);
      if (record === undefined) {
        const { last } = await store.countRounds(taskId);
        const missing =
          roundNumber < last
            ? `round ${roundId} is not kept any more (retention.rounds)`
            : `no round ${roundId}`;
        throw new FederatedError("ROUND_NOT_FOUND", missing);
      }
      return roundResource(record);
    },
    isPrivate: (taskId) => engines.get(taskId)?.task().spec.privacy.mechanism !== "none",
    privacy: async (taskId) => {
      const task = requireEngine(taskId).task();
      const version = await store.latestModelVersion(taskId);
      if (version === undefined) throw new Error(`task "${taskId}" has lost its versions`);
      const ledger = await store.listLedger(taskId);
      return deps.reckon(() => privacyResource(task.spec, ledger, version));
    },
  };
}

async function layoutOf(input: TaskSpecInput): Promise<TaskRecord["layout"]> {
  try {
    return await createLayout(input.model.tensors);
  } catch (error) {
    if (isFederatedError(error)) throw invalid([{ path: "model.tensors", message: error.message }]);
    throw error;
  }
}

function assertWeights(weights: Float32Array, parameterCount: number): void {
  if (weights.length !== parameterCount) {
    const message = `has ${weights.length} elements, model.tensors has ${parameterCount}`;
    throw invalid([{ path: "initialWeights", message }]);
  }
  if (!weights.every(Number.isFinite)) {
    throw invalid([{ path: "initialWeights", message: "must be finite numbers" }]);
  }
}

const exists = (taskId: TaskId) =>
  new FederatedError("TASK_EXISTS", `there is a task "${taskId}" already; choose another id`);

const invalid = (faults: readonly { path: string; message: string }[]) =>
  new FederatedError(
    "CONFIG_INVALID",
    `the task is not valid: ${faults.map(({ path, message }) => `${path} ${message}`).join("; ")}`,
    { details: { faults } },
  );
