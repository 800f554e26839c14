/** Federated learning for JavaScript, the client's side. Runs in Node and in browsers. */

export { createMemoryCache } from "./cache.ts";
export type { CachedModel, CopyOf, ModelCache, TrustedKeys } from "./cache.ts";
export { createClientKey } from "./client-key.ts";
export { createClient } from "./client.ts";
export type { Client, ClientOptions } from "./client.ts";
export type { PauseReason, TrainingConditions } from "./conditions.ts";
export type { TokenSource } from "./credentials.ts";
export type { BackoffOptions } from "./delay.ts";
export type { FeedbackStore } from "./encoding/feedback-store.ts";
export { createMemoryFeedback } from "./encoding/feedback-store.ts";
export type { JoinOptions, Offer, Participant, ParticipantEvents } from "./participant.ts";
export type { ParticipationEnd, ParticipationState } from "./participation.ts";
export { createMemoryPendingUpdates } from "./pending-updates.ts";
export type { PendingUpdate, PendingUpdateStore } from "./pending-updates.ts";
export type { EpsilonLimit } from "./privacy/account.ts";
export type { PrivacyOptions } from "./privacy/guard.ts";
export { createMemoryLedger } from "./privacy/ledger-store.ts";
export type { PrivacyLedgerStore, StoredLedger } from "./privacy/ledger-store.ts";
export type { ClientPrivacy, SpentBudget } from "./privacy/statement.ts";
export type { ModelDownload } from "./model-fetch.ts";
export type { ServedModel, ServedModelEvents, ServedVersion, ServeOptions } from "./serving.ts";
export type {
  EvaluationRequest,
  LoadedModel,
  Predictor,
  Trainer,
  TrainingProgress,
  TrainingRequest,
  TrainingResult,
} from "./trainer.ts";
export type { TrustOptions } from "./trust.ts";
export type { ModelManifest, ServingEncoding } from "@tributary/protocol";
export { FederatedError, isFederatedError } from "@tributary/protocol";
