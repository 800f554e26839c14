/** The SDK's front door: one client, the tasks it trains for and the models it serves. */

import { FederatedError, parseTaskId } from "@tributary/protocol";

import type { ModelCache } from "./cache.ts";
import { createMemoryCache } from "./cache.ts";
import { checkClientKey, createClientKey } from "./client-key.ts";
import type { TokenSource } from "./credentials.ts";
import { createCredentials } from "./credentials.ts";
import type { BackoffOptions } from "./delay.ts";
import { DEFAULT_BACKOFF } from "./delay.ts";
import type { FeedbackStore } from "./encoding/feedback-store.ts";
import { createMemoryFeedback } from "./encoding/feedback-store.ts";
import type { Fetch } from "./http.ts";
import { createHttp } from "./http.ts";
import { originOf } from "./origin.ts";
import type { ClosableParticipant, JoinOptions, Participant } from "./participant.ts";
import { startParticipant } from "./participant.ts";
import type { PendingUpdateStore } from "./pending-updates.ts";
import { createMemoryPendingUpdates } from "./pending-updates.ts";
import type { PrivacyOptions } from "./privacy/guard.ts";
import { createPrivacyGuard } from "./privacy/guard.ts";
import type { ClientPrivacy } from "./privacy/statement.ts";
import type { ServedModel, ServeOptions } from "./serving.ts";
import { serveModel } from "./serving.ts";
import { createSession } from "./session.ts";
import { createSlot } from "./slot.ts";
import type { TrustOptions } from "./trust.ts";
import { createTrust } from "./trust.ts";

export interface ClientOptions {
  /** Where the coordinator is: `https://coordinator.example`. */
  readonly url: string;
  /**
   * What lets this client in, where the coordinator asks: the shared token, a JWT of an identity provider,
   * or an enrolment token. A function is asked for every connection and after a refusal, so that a JWT that
   * runs out is followed by the next; it may answer with the token it has for as long as that is good.
   */
  readonly token?: TokenSource;
  /**
   * This client's own secret, and so its identity: 43 characters from `createClientKey()`. Keep it, in
   * Node with `loadClientKey`; a fresh one for every start makes a new participant of every start.
   */
  readonly clientKey?: string;
  /** Default: in memory, of its own; then the first key of each start is trusted, unless keys are pinned. */
  readonly cache?: ModelCache;
  /** Whose models are used. Default: those of the first key that is seen, and of its successors. */
  readonly trust?: TrustOptions;
  /** What this client may give away of its data, over all its tasks, and where it keeps account of it. */
  readonly privacy?: PrivacyOptions;
  /**
   * Where a finished update waits until its round has it or is over, so that a client that starts again sends
   * it as it is. Default: in memory, where it is lost with the process.
   */
  readonly pendingUpdates?: PendingUpdateStore;
  /**
   * Where it is kept what was left out of updates of which only a share is sent, to go with the next. Default: in
   * memory, where it is lost with the process, which costs accuracy and nothing else.
   */
  readonly feedback?: FeedbackStore;
  readonly fetch?: Fetch;
  readonly backoff?: Partial<BackoffOptions>;
  /** Longest wait for the answer to a control message. Default 10 s. */
  readonly ackTimeoutMs?: number;
  /** Longest single try of a download or upload. Default 2 minutes. */
  readonly requestTimeoutMs?: number;
}

export interface Client extends AsyncDisposable {
  /**
   * Takes part in a task's rounds until it ends, `leave()` or `close()`.
   * @throws FederatedError MALFORMED_MESSAGE for an impossible task id, ABORTED after `close()`,
   * CONFIG_INVALID when this client has joined the task already
   */
  join(taskId: string, options: JoinOptions): Participant;
  /** Serves a task's published model until it is closed. @throws FederatedError as `join` */
  model<Input, Output>(
    taskId: string,
    options: ServeOptions<Input, Output>,
  ): ServedModel<Input, Output>;
  /**
   * What this client's updates for a task have cost by its own account, what is left, and the promise in words.
   * @throws FederatedError MALFORMED_MESSAGE for an impossible task id, CONFIG_INVALID for a ledger that is lost or
   * damaged, UNAVAILABLE for one that cannot be read
   */
  privacy(taskId: string): Promise<ClientPrivacy>;
  /**
   * Connects at once where there is no connection, instead of after the back-off: for a device that wakes or
   * is back online. A pause that the coordinator asked for is kept.
   */
  wake(): void;
  /** Takes leave everywhere, waits until work has stopped, and disconnects. Idempotent. */
  close(): Promise<void>;
}

/** @throws FederatedError CONFIG_INVALID for a url, client key, pinned key or privacy limit that cannot be */
export function createClient(options: ClientOptions): Client {
  const origin = originOf(options.url);
  const clientKey = checkClientKey(options.clientKey ?? createClientKey());
  const credentials = createCredentials(options.token, clientKey);
  const backoff = { ...DEFAULT_BACKOFF, ...options.backoff };
  const session = createSession({
    origin,
    credentials,
    backoff,
    ackTimeoutMs: options.ackTimeoutMs ?? 10_000,
  });
  const http = createHttp({
    origin,
    credentials,
    fetch: options.fetch ?? globalThis.fetch,
    backoff,
    requestTimeoutMs: options.requestTimeoutMs ?? 120_000,
  });
  const cache = options.cache ?? createMemoryCache();
  const trust = createTrust({ origin, cache, getKeys: http.getKeys }, options.trust);
  const privacy = createPrivacyGuard(origin, options.privacy);
  const deps = {
    origin,
    clientKey,
    feedback: options.feedback ?? createMemoryFeedback(),
    pendingUpdates: options.pendingUpdates ?? createMemoryPendingUpdates(),
    session,
    http,
    cache,
    trust,
    privacy,
    slot: createSlot(),
    backoff,
  };
  const participants = new Map<string, ClosableParticipant>();
  const models = new Set<ServedModel<never, unknown>>();
  let closing: Promise<void> | undefined;

  const requireOpen = () => {
    if (closing !== undefined) throw new FederatedError("ABORTED", "the client is closed");
  };

  const close = async () => {
    await Promise.all([
      ...[...participants.values()].map((participant) => participant.close()),
      ...[...models].map((model) => model.close()),
    ]);
    session.close();
  };

  return {
    join: (taskId, joinOptions) => {
      requireOpen();
      if (participants.has(taskId)) {
        throw new FederatedError("CONFIG_INVALID", `this client has joined "${taskId}" already`);
      }
      const participant = startParticipant(deps, parseTaskId(taskId), joinOptions);
      participants.set(taskId, participant);
      void participant.done.then(() => participants.delete(taskId));
      return participant;
    },
    model: (taskId, serveOptions) => {
      requireOpen();
      const model = serveModel(deps, parseTaskId(taskId), serveOptions, () => models.delete(model));
      models.add(model);
      return model;
    },
    privacy: async (taskId) => privacy.about(parseTaskId(taskId)),
    wake: session.wake,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}
