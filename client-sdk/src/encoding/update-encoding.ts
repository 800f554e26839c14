/** How a participant's updates become bytes: float32 at once, all else by a part that is loaded when a plan asks. */

import type {
  FederatedError as Fault,
  Receipt,
  RoundClosed,
  RoundId,
  TaskId,
  TrainingPlan,
} from "@tributary/protocol";
import { encodeUpdate, FederatedError } from "@tributary/protocol";

import type { createUpdateEncoder, EncodingJob, UpdateEncoder } from "./encoder.ts";
import type { encodingFault } from "./encoding-fault.ts";
import type { FeedbackStore } from "./feedback-store.ts";

export interface UpdateEncoding {
  /** What stands against encoding as a plan asks; undefined when nothing does. @throws FederatedError UNAVAILABLE */
  fault(plan: TrainingPlan): Promise<Fault | undefined>;
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
  readonly encodingFault: typeof encodingFault;
}

/** @param load for tests */
export function createUpdateEncoding(
  store: FeedbackStore,
  task: { readonly origin: string; readonly taskId: TaskId },
  tellError: (error: unknown) => void,
  load: () => Promise<EncoderModule> = () => import("./encoder.ts"),
): UpdateEncoding {
  let loading: Promise<UpdateEncoder & Pick<EncoderModule, "encodingFault">> | undefined;
  /** The round whose end decides about feedback. */
  let round: RoundId | undefined;
  const encoder = () =>
    (loading ??= load().then(
      ({ createUpdateEncoder: create, encodingFault: fault }) => ({
        ...create(store, task, tellError),
        encodingFault: fault,
      }),
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
    fault: async (plan) =>
      plan.encoding.kind === "float32" ? undefined : (await encoder()).encodingFault(plan),
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
