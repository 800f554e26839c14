/** How updates become bytes in other encodings than float32, by a part that is loaded when a plan asks. */

import type {
  FederatedError as Fault,
  Receipt,
  RoundClosed,
  RoundId,
  TaskId,
  TrainingPlan,
} from "@tributary/protocol";
import { part } from "../part.ts";
import type { createUpdateEncoder, EncodingJob, UpdateEncoder } from "./encoder.ts";
import type { encodingFault } from "./encoding-fault.ts";
import type { FeedbackStore } from "./feedback-store.ts";

export interface UpdateEncoding {
  /** What stands against encoding as a plan asks; undefined when nothing does. @throws FederatedError UNAVAILABLE */
  fault(plan: TrainingPlan): Promise<Fault | undefined>;
  /** @throws FederatedError UPDATE_NOT_FINITE, UPDATE_LAYOUT_MISMATCH, ABORTED; UNAVAILABLE where it cannot be loaded */
  encode(job: EncodingJob): Promise<Uint8Array>;
  /** An update for this round is made, or one that was made before is sent again: what becomes of it matters here. */
  begins(roundId: RoundId, plan: TrainingPlan): void;
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
  let made: UpdateEncoder | undefined;
  const { get: encoder } = part("encodes updates", async () => {
    const { createUpdateEncoder: create, encodingFault: fault } = await load();
    made = create(store, task, tellError);
    return { ...made, encodingFault: fault };
  });
  /** The round whose end decides about feedback. */
  let round: RoundId | undefined;
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
    encode: async (job) => (made ?? (await encoder())).encode(job),
    begins: (roundId, { encoding }) => {
      round = "feedback" in encoding && encoding.feedback ? roundId : undefined;
    },
    reported: ({ roundId }) => settle(roundId, "counted"),
    closed: async ({ roundId, outcome }) => {
      if (outcome !== "committed") await settle(roundId, "abandoned");
    },
    forget: async () => {
      round = undefined;
      // What is being written is gone as well only where this comes after it.
      await (made?.forget() ?? store.delete(task.origin, task.taskId).catch(tellError));
    },
  };
}
