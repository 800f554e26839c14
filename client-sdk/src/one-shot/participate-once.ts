/**
 * Takes part in at most one round and returns: check in, train, report. For code that runs for a minute and is gone,
 * in a function, a background task or a service worker; no socket, no timer and no listener is left behind.
 */

import type { Assignment, HttpCheckInReply, Receipt } from "@tributary/protocol";
import {
  FederatedError,
  isFederatedError,
  MAX_WAIT_MS,
  parseTaskId,
  routes,
} from "@tributary/protocol";

import type { ModelCache } from "../cache.ts";
import { createMemoryCache } from "../cache.ts";
import { checkClientKey } from "../client-key.ts";
import type { TokenSource } from "../credentials.ts";
import { createCredentials } from "../credentials.ts";
import type { BackoffOptions } from "../delay.ts";
import { DEFAULT_BACKOFF, LONGEST_PAUSE_MS, throwIfAborted, withTimeout } from "../delay.ts";
import type { FeedbackStore } from "../encoding/feedback-store.ts";
import { createMemoryFeedback } from "../encoding/feedback-store.ts";
import { createUpdateEncoding } from "../encoding/update-encoding.ts";
import { checkFrameLength } from "../frame-length.ts";
import type { Fetch } from "../http.ts";
import { createHttp, resolvePath } from "../http.ts";
import { createKeptUpdate } from "../kept-update.ts";
import { checkLayout } from "../model-fetch.ts";
import { originOf } from "../origin.ts";
import type { Offer } from "../participant.ts";
import type { PendingUpdateStore } from "../pending-updates.ts";
import { createMemoryPendingUpdates } from "../pending-updates.ts";
import type { PrivacyOptions } from "../privacy/guard.ts";
import { createPrivacyGuard } from "../privacy/guard.ts";
import { runAssignment } from "../run-assignment.ts";
import type { Trainer, TrainingProgress } from "../trainer.ts";
import type { TrustOptions } from "../trust.ts";
import { createTrust } from "../trust.ts";
import { checkInOnce } from "./check-in.ts";

export interface OneShotOptions {
  /** Where the coordinator is: `https://coordinator.example`. */
  readonly url: string;
  readonly taskId: string;
  readonly trainer: Trainer;
  /** From `createClientKey()`, kept by the app: another key each time would be another participant each time. */
  readonly clientKey: string;
  /** As in `createClient`. */
  readonly token?: TokenSource;
  /** Asked before the work begins; false gives the place back. */
  readonly accept?: (offer: Offer) => boolean | Promise<boolean>;
  /** How long this run can wait for a place, at most a minute. Default: as long as the coordinator lets it. */
  readonly waitMs?: number;
  /** Gives up, and the place back. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** What lasts between runs: models, with the keys that are trusted. Default: in memory, for this run. */
  readonly cache?: ModelCache;
  readonly trust?: TrustOptions;
  readonly privacy?: PrivacyOptions;
  /** With one that lasts, a run that was cut off after training is gone on with by the next: the update is sent as it is. */
  readonly pendingUpdates?: PendingUpdateStore;
  /** What was left out of updates that send a share; with one that lasts it goes with the next run's. */
  readonly feedback?: FeedbackStore;
  readonly fetch?: Fetch;
  readonly backoff?: Partial<BackoffOptions>;
  /** Longest single try of a download or upload. Default 2 minutes. */
  readonly requestTimeoutMs?: number;
}

/** `comeBackInMs`: when to run again, never more than a timer takes. Whoever keeps to it finds a round, and no crowd. */
export type OneShotResult =
  /** The update is counted. */
  | { readonly outcome: "reported"; readonly receipt: Receipt; readonly comeBackInMs: number }
  /** There was no place; or this client's update was counted before. */
  | { readonly outcome: "noPlace"; readonly comeBackInMs: number }
  /** The app, or this client's own privacy, did not want the place, which was given back. */
  | { readonly outcome: "declined"; readonly comeBackInMs: number }
  /** The round was over before the update had arrived. */
  | { readonly outcome: "tooLate"; readonly comeBackInMs: number };

/** Where the app gives no store, faults of the one in memory cannot be; of a store they cost what it would have saved. */
const onStoreError = () => undefined;
/** After the deadline an answer may still be on its way. */
const ANSWER_GRACE_MS = 30_000;
/** The word that a place is given back is waited for no longer: the deadline of the round says the same. */
const GIVE_BACK_MS = 5_000;

/**
 * Checks in by HTTP, trains if there is a place, and reports.
 * @throws FederatedError TASK_ENDED for a task that takes no more rounds, UNAVAILABLE for a coordinator that cannot be
 * reached, UNAUTHENTICATED, TASK_NOT_FOUND, CONFIG_INVALID, PRIVACY_BUDGET_EXHAUSTED, ABORTED, MODEL_UNTRUSTED, …; or
 * what the trainer threw, when the place was given back
 */
export async function participateOnce(options: OneShotOptions): Promise<OneShotResult> {
  const origin = originOf(options.url);
  const taskId = parseTaskId(options.taskId);
  const clientKey = checkClientKey(options.clientKey);
  const waitMs = checkWait(options.waitMs);
  const signal = options.signal ?? new AbortController().signal;
  throwIfAborted(signal);
  const credentials = createCredentials(options.token, clientKey);
  const fetch = options.fetch ?? globalThis.fetch;
  const { requestTimeoutMs = 120_000 } = options;
  const http = createHttp({
    ...{ origin, credentials, fetch, requestTimeoutMs },
    backoff: { ...DEFAULT_BACKOFF, ...options.backoff },
  });
  const cache = options.cache ?? createMemoryCache();
  const trust = createTrust({ origin, cache, getKeys: http.getKeys }, options.trust);
  const privacy = createPrivacyGuard(origin, options.privacy);
  const kept = createKeptUpdate(
    options.pendingUpdates ?? createMemoryPendingUpdates(),
    { origin, taskId },
    onStoreError,
  );
  const encoding = createUpdateEncoding(
    options.feedback ?? createMemoryFeedback(),
    { origin, taskId },
    onStoreError,
  );

  let reply: HttpCheckInReply;
  try {
    reply = await checkInOnce({ origin, credentials, fetch }, taskId, waitMs, signal);
  } catch (error) {
    if (!isFederatedError(error)) throw error;
    // Nothing of this person's data waits for a task that is over.
    if (error.code === "TASK_ENDED") await Promise.all([kept.forget(), encoding.forget()]);
    if (error.code !== "RATE_LIMITED") throw error;
    // Proxies may say "at once" to whom they refuse, or years.
    const comeBackInMs = Math.ceil(Math.max(1000, error.retryAfterMs ?? 60_000));
    return { outcome: "noPlace", comeBackInMs: Math.min(comeBackInMs, LONGEST_PAUSE_MS) };
  }
  const { clientId, task, assignment, comeBackInMs } = reply;
  if (assignment === undefined || assignment.reported) return { outcome: "noPlace", comeBackInMs };

  /** The round need not wait. What becomes of the word is no matter, and nobody waits for it long. */
  const giveBack = () =>
    // Also after a run was called off: by a signal of its own.
    withTimeout(new AbortController().signal, Math.min(requestTimeoutMs, GIVE_BACK_MS), (within) =>
      fetch.call(undefined, resolvePath(origin, routes.decline.path(assignment)), {
        method: "POST",
        redirect: "error",
        headers: { authorization: `Bearer ${assignment.update.token}` },
        keepalive: true,
        signal: within,
      }),
    ).catch(() => undefined);

  const identity = { clientKey, clientId };
  const work = async (within: AbortSignal): Promise<OneShotResult> => {
    const layout = await checkLayout(task.layout);
    const fault = await encoding.fault(assignment.plan);
    if (fault !== undefined) throw fault;
    const finished = await kept.find(assignment, identity);
    const { admits, follows } = privacy;
    const mayTrain = await (finished === undefined ? admits : follows)(assignment);
    if (!mayTrain || (await options.accept?.(offerOf(assignment))) === false) {
      await giveBack();
      return { outcome: "declined", comeBackInMs };
    }
    let frame = finished;
    if (frame === undefined) {
      const onProgress = (progress: TrainingProgress) => {
        if (!within.aborted) options.onProgress?.(progress);
      };
      frame = await runAssignment(
        { http, cache, trust, privacy, clientKey, encoding, onCacheError: onStoreError },
        { assignment, layout, trainer: options.trainer, signal: within, onProgress },
      );
      // Durable before it is sent: from here on nothing is trained, or spent, for this place again.
      await kept.keep(assignment, identity, frame);
    } else encoding.begins(assignment.roundId, assignment.plan);
    checkFrameLength(frame, assignment.update);
    const beforeRetry = () => kept.checkAllowed();
    const { compression } = assignment.plan;
    const receipt = await http.putUpdate(assignment.update, frame, {
      ...{ signal: within, beforeRetry, compression },
    });
    await encoding.reported(receipt);
    // An update that is accepted and not yet published may be wanted again, by a coordinator that has started again.
    if (receipt.status === "committed") await kept.forget(assignment.roundId);
    return { outcome: "reported", receipt, comeBackInMs };
  };

  try {
    return await withTimeout(signal, assignment.timeLeftMs + ANSWER_GRACE_MS, work);
  } catch (error) {
    if (isFederatedError(error) && error.code === "ROUND_CLOSED") {
      await kept.forget(assignment.roundId);
      return { outcome: "tooLate", comeBackInMs };
    }
    await giveBack();
    throw error;
  }
}

function checkWait(waitMs: number | undefined): number | undefined {
  if (waitMs === undefined) return undefined;
  if (Number.isInteger(waitMs) && waitMs >= 0 && waitMs <= MAX_WAIT_MS) return waitMs;
  throw new FederatedError(
    "CONFIG_INVALID",
    `waitMs must be whole milliseconds from 0 to ${MAX_WAIT_MS}, got ${String(waitMs)}`,
  );
}

function offerOf(assignment: Assignment): Offer {
  const { taskId, roundId, roundNumber, plan, checkpoint, deadlineAt, timeLeftMs } = assignment;
  return { taskId, roundId, roundNumber, plan, checkpoint, deadlineAt, timeLeftMs };
}
