/** One assignment's work: received weights -> trained weights -> delta -> update frame. */

import type { Assignment, Layout } from "@tributary/protocol";
import { checkExamples, encodeUpdate, metricsFor } from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import { abortedError, throwIfAborted } from "./delay.ts";
import { deltaOf } from "./delta.ts";
import type { UpdateEncoding } from "./encoding/update-encoding.ts";
import { checkFrameLength } from "./frame-length.ts";
import type { ModelDownload, ModelFetchDeps } from "./model-fetch.ts";
import { fetchModel } from "./model-fetch.ts";
import type { PrivacyGuard } from "./privacy/guard.ts";
import type { Trainer, TrainingProgress, TrainingResult } from "./trainer.ts";

export interface RunAssignmentDeps extends ModelFetchDeps {
  readonly privacy: Pick<PrivacyGuard, "protect">;
  readonly clientKey: string;
  readonly encoding: Pick<UpdateEncoding, "encode" | "begins">;
}

export interface AssignmentWork {
  readonly assignment: Assignment;
  readonly layout: Layout;
  readonly trainer: Trainer;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TrainingProgress) => void;
  /** Told what had to come for the model, before training begins. */
  readonly onReceived?: (download: ModelDownload) => void;
}

/**
 * Verifies, fetches, trains, checks, clips and encodes. Nothing that is not finite leaves the client, and
 * nothing at all before the client's own ledger knows of it.
 * @returns the update frame: delta = trained - received, of norm <= `plan.clippingNorm` up to rounding, and
 * with the noise that the plan asks for
 * @throws FederatedError ABORTED, UPDATE_NOT_FINITE, UPDATE_LAYOUT_MISMATCH, UPDATE_TOO_LARGE,
 * MALFORMED_MESSAGE (a number of examples that cannot be), PRIVACY_BUDGET_EXHAUSTED, what fetching threw; or what the trainer threw
 */
export async function runAssignment(
  deps: RunAssignmentDeps,
  { assignment, layout, trainer, signal, onProgress, onReceived }: AssignmentWork,
): Promise<Uint8Array> {
  const { taskId, plan, checkpoint } = assignment;
  const model = { taskId, layout, checkpoint };
  const { weights: received, download } = await fetchModel(deps, model, { signal });
  throwIfAborted(signal);
  onReceived?.(download);
  // The trainer may work in place: the delta is taken from a copy of our own.
  // With turns of the event loop in between: each copy of a large model takes some milliseconds.
  const breathe = createBreather(0);
  await breathe();
  const weights = received.slice();
  await breathe();
  let result: TrainingResult;
  try {
    result = await trainer.train({ weights, layout, plan, signal, onProgress });
  } catch (error) {
    throw signal.aborted ? abortedError(error) : error;
  }
  throwIfAborted(signal);
  const made = {
    delta: await deltaOf(result.weights, received, plan, signal),
    numExamples: checkExamples(result.numExamples),
    metrics: metricsFor(plan.evaluate, result.metrics),
  };
  const update = await deps.privacy.protect(assignment, made, signal);
  await breathe();
  const { clientKey } = deps;
  deps.encoding.begins(assignment.roundId, plan);
  const frame =
    plan.encoding.kind === "float32"
      ? encodeUpdate(layout, update)
      : await deps.encoding.encode({ assignment, layout, update, clientKey, signal });
  await breathe();
  checkFrameLength(frame, assignment.update);
  return frame;
}
