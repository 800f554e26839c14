/** What is the same in all frames. `codec.ts` has the picture. */

import type { EvaluationSums } from "./evaluation.ts";

export const FRAME_VERSION = 1;
export const FRAME_HEADER_BYTES = 64;
/** Metrics above this are refused: enough for the sums of {@link MAX_CLASSES} classes. */
export const MAX_METRICS_BYTES = 65_536;

export const MAGIC = { checkpoint: 0x50435254, update: 0x50555254 } as const; // "TRCP", "TRUP"

export type FrameKind = keyof typeof MAGIC;

/** What an update says besides its delta. Sums and means of one client: never published as they are. */
export interface UpdateMetrics {
  /** Mean training loss over the examples of the last epoch. */
  readonly trainLoss?: number;
  /** Sums of the received model on the local test split; only when the plan asks for them. */
  readonly evaluation?: EvaluationSums;
}
