/** A coordinator with the digits task and its evaluator, in this process: what the demo and the benchmark run. */

import * as tf from "@tensorflow/tfjs";
import { describeModel } from "@tributary/client-sdk/tfjs";
import type { Coordinator } from "@tributary/coordinator";
import { createCoordinator } from "@tributary/coordinator";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import type {
  Evaluation,
  MonitoringEvent,
  PrivacyResource,
  TaskEndReason,
  TaskResource,
} from "@tributary/protocol";
import { createLayout, parseTaskId } from "@tributary/protocol";

import type { BackendChoice } from "./backend.ts";
import { prepareBackend } from "./backend.ts";
import type { LabelledImages } from "./data.ts";
import { IMAGE_PIXELS, loadMnist } from "./data.ts";
import { createDigitsTask, EVALUATOR, settingsOf } from "./job.ts";
import type { DigitsJob } from "./job.ts";
import { createModel } from "./model.ts";

export interface TrainingOptions {
  readonly job: DigitsJob;
  readonly storage:
    { readonly kind: "memory" } | { readonly kind: "sqlite"; readonly directory: string };
  readonly port?: number;
  readonly backend?: BackendChoice;
}

export interface Training extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly url: string;
  /** For people with a browser. */
  readonly dashboardUrl?: string;
  readonly test: LabelledImages;
  /** Of the newest version when the training was opened: of the first weights, in a new one. */
  readonly before: Evaluation;
  /** Rounds that had been committed before. */
  readonly roundsBefore: number;
  /** Number of the last of them; 0 in a new training. Abandoned rounds have numbers, too. */
  readonly lastRound: number;
  /** TF.js backend of the evaluator. */
  readonly backend: string;
  /** Calls `listener` for every event of the task from now on, the one that ends it included. */
  watch(listener: (event: MonitoringEvent) => void): { unsubscribe(): void };
  /** What is promised, and what is left of the budget, as the monitoring API shows it. */
  privacy(): Promise<PrivacyResource>;
  /** Resolves with the task and why it ended. @throws what aborted `signal` */
  ended(signal: AbortSignal): Promise<TaskResource & { readonly endReason: TaskEndReason }>;
  close(): Promise<void>;
}

/** The folder holds this task with other settings: its model is not the one that was asked for. */
export class OtherTaskError extends Error {
  override readonly name = "OtherTaskError";
}

/**
 * Opens the coordinator, creates the task or goes on with it, and listens.
 * @throws OtherTaskError when the storage holds the task with other settings
 */
export async function openTraining(options: TrainingOptions): Promise<Training> {
  const { job } = options;
  const taskId = parseTaskId(job.taskId);
  const backend = await prepareBackend(tf, options.backend);
  const { test } = await loadMnist();
  const model = createModel(tf, job.model, job.seed);
  const { tensors, initialWeights } = await describeModel(model);
  const evaluator = createTfjsEvaluator({
    tf,
    model,
    dataset: {
      xs: test.pixels,
      scale: 1 / 255,
      ys: test.labels,
      inputShape: [IMAGE_PIXELS],
    },
  });
  const layout = await createLayout(tensors);
  const never = new AbortController().signal;
  const coordinator = await createCoordinator({
    config: {
      server: { port: options.port ?? 0 },
      storage: options.storage,
      log: { level: "error" },
    },
    evaluators: { [EVALUATOR]: evaluator },
  });
  const close = async () => {
    await coordinator.close();
    model.dispose();
  };

  try {
    const known = (await coordinator.tasks.list()).find((task) => task.taskId === taskId);
    const spec = createDigitsTask(job, tensors);
    if (known !== undefined) assertSameTask(known, spec);
    const task = known ?? (await coordinator.tasks.create(spec, initialWeights));
    const before = task.evaluation ?? (await evaluator.evaluate(initialWeights, layout, never));
    const { roundNumber: modelRound } = await coordinator.models.get(taskId, "latest");
    const { url, dashboardUrl } = await coordinator.listen();
    const watch = (listener: (event: MonitoringEvent) => void) =>
      coordinator.events.subscribe((event) => {
        if (event.taskId === taskId) listener(event);
      });
    return {
      coordinator,
      url,
      ...(dashboardUrl === undefined ? {} : { dashboardUrl }),
      test,
      before,
      roundsBefore: task.roundsCommitted,
      lastRound: modelRound ?? 0,
      backend,
      watch,
      privacy: () => coordinator.tasks.privacy(taskId),
      ended: (signal) => endOf(coordinator, taskId, watch, signal),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the folder's task must share with the one asked for; both sides as the coordinator completes them. */
function assertSameTask(known: TaskResource, spec: ReturnType<typeof createDigitsTask>): void {
  if (settingsOf(known.spec) === settingsOf(spec)) return;
  throw new OtherTaskError(
    `the folder holds a task "${known.taskId}" with other settings (${known.spec.description}); give the same options again, or another folder`,
  );
}

function endOf(
  coordinator: Coordinator,
  taskId: TaskResource["taskId"],
  watch: Training["watch"],
  signal: AbortSignal,
): ReturnType<Training["ended"]> {
  return new Promise((resolve, reject) => {
    const check = async () => {
      const task = await coordinator.tasks.get(taskId);
      if (task.state !== "ended" || task.endReason === undefined) return;
      stop();
      resolve({ ...task, endReason: task.endReason });
    };
    const fail = (error: unknown) => {
      stop();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const watching = watch((event) => {
      if (event.type === "task:stateChanged") check().catch(fail);
    });
    const onAbort = () => fail(signal.reason);
    const stop = () => {
      watching.unsubscribe();
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort);
    check().catch(fail);
  });
}

/** The most probable digit. */
export function mostProbable(probabilities: readonly number[]): number {
  const [first = 0] = probabilities;
  const best = probabilities.reduce((most, value) => Math.max(most, value), first);
  return probabilities.indexOf(best);
}
