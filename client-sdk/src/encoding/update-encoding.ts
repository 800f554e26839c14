/** How a participant's updates become bytes: float32 at once, all else by a part that is loaded when a plan asks. */

import type { Receipt, RoundClosed, RoundId, TaskId, TrainingPlan } from "@tributary/protocol";
import { encodeUpdate, FederatedError } from "@tributary/protocol";

import type { createUpdateEncoder, EncodingJob, UpdateEncoder } from "./encoder.ts";
import type { FeedbackStore } from "./feedback-store.ts";

export interface UpdateEncoding {
  /** @throws FederatedError UPDATE_NOT_FINITE, UPDATE_LAYOUT_MISMATCH, ABORTED; UNAVAILABLE where it cannot be loaded */
  encode(job: EncodingJob): Promise<Uint8Array>;
  /** An update made before this client started is sent again: what becomes of it matters here, too. */
  resumes(roundId: RoundId, plan: TrainingPlan): void;
  reported(receipt: Receipt): Promise<void>;
  closed(message: RoundClosed): Promise<void>;
  /** Deletes what was left out of former updates. */
  forget(): Promise<void>;
}

interface EncoderModule {
  readonly createUpdateEncoder: typeof createUpdateEncoder;
}

/** @param load for tests */
export function createUpdateEncoding(
  store: FeedbackStore,
  task: { readonly origin: string; readonly taskId: TaskId },
  tellError: (error: unknown) => void,
  load: () => Promise<EncoderModule> = () => import("./encoder.ts"),
): UpdateEncoding {
  let loading: Promise<UpdateEncoder> | undefined;
  /** The round whose end decides about feedback. */
  let round: RoundId | undefined;
  const encoder = (): Promise<UpdateEncoder> =>
    (loading ??= load().then(
      (module) => module.createUpdateEncoder(store, task, tellError),
      (cause: unknown) => {
        loading = undefined;
        throw new FederatedError(
          "UNAVAILABLE",
          "the part of the SDK that encodes updates cannot be loaded; reload the page",
          { cause },
        );
      },
    ));
  const resumes = (roundId: RoundId, { encoding }: TrainingPlan): void => {
    round = "feedback" in encoding && encoding.feedback ? roundId : undefined;
  };
  /** Feedback that cannot be settled costs accuracy. */
  const settle = async (roundId: RoundId, how: "counted" | "abandoned"): Promise<void> => {
    if (roundId !== round) return;
    await encoder()
      .then((own) => own[how](roundId))
      .catch(tellError);
  };
  return {
    encode: async (job) => {
      const { roundId, plan } = job.assignment;
      resumes(roundId, plan);
      if (plan.encoding.kind === "float32") return encodeUpdate(job.layout, job.update);
      return (await encoder()).encode(job);
    },
    resumes,
    reported: ({ roundId }) => settle(roundId, "counted"),
    closed: async ({ roundId, outcome }) => {
      if (outcome !== "committed") await settle(roundId, "abandoned");
    },
    forget: async () => {
      round = undefined;
      await store.delete(task.origin, task.taskId).catch(tellError);
    },
  };
}

const VALUES: readonly unknown[] = ["float32", "bfloat16", "int8", "int4"];

/**
 * What stands against encoding as a plan asks; undefined when nothing does. A newer coordinator may ask for what this
 * client does not know. Under local noise, or where limits of taking part keep a promise, only what a task can be
 * created with is followed.
 */
export function encodingFault(plan: TrainingPlan): FederatedError | undefined {
  const { encoding, localNoise, participation } = plan;
  const { kind, values, fraction, feedback }: Partial<Record<string, unknown>> = { ...encoding };
  const isSparse = kind === "topK" || kind === "randomK";
  const isKnown = isSparse
    ? VALUES.includes(values) && Number(fraction) <= 1 && typeof feedback === "boolean"
    : VALUES.includes(kind);
  if (!isKnown) {
    const text = JSON.stringify(encoding).slice(0, 100);
    return unsupported(
      `the plan asks for updates encoded as ${text}, which this client does not know`,
    );
  }
  if (localNoise !== undefined && kind !== "float32") {
    return unsupported(`local noise needs float32, the plan asks for ${String(kind)}`);
  }
  if (participation !== undefined && isSparse) {
    return unsupported(`a plan that limits how often a client takes part cannot ask for ${kind}`);
  }
  return undefined;
}

const unsupported = (message: string) => new FederatedError("ENCODING_UNSUPPORTED", message);
