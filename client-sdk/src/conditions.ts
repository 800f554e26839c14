/** The port through which an app, or the device, holds training back; `./browser` has the real conditions. */

/** Why this client does not train now; `user` is the app's own `pause()`. */
export type PauseReason =
  "user" | "consent" | "hidden" | "battery" | "saveData" | "metered" | "otherTab";

export interface TrainingConditions {
  /** What stands against training now; empty: nothing. */
  readonly against: readonly PauseReason[];
  /** Calls back whenever `against` may have changed. Returns the unsubscribe. */
  subscribe(listener: () => void): () => void;
}
