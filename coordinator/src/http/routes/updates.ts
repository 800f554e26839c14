/** The one idempotent PUT of an update: admitted by its token, read into one buffer, answered by a receipt. */

import type { Receipt, RoundId } from "@tributary/protocol";
import {
  CONTENT_DIGEST_HEADER,
  FederatedError,
  parseContentDigest,
  routes,
} from "@tributary/protocol";
import { ReceiptSchema } from "@tributary/protocol/schema";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { IncomingMessage } from "node:http";

import type { Participant, ReceivedUpdate } from "../../ports.ts";
import type { Admission } from "../admission.ts";
import { createAdmission } from "../admission.ts";
import { bearerToken } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { asFederatedError } from "../problem.ts";
import { readUpdate } from "../read-update.ts";
import { assignmentSecurity, Bytes, jsonAnswer, problems, RoundParams } from "./schemas.ts";

type UpdateRequest = FastifyRequest<{ Params: { roundId: RoundId } }>;
type Admitted = Awaited<ReturnType<HttpDeps["intake"]["admit"]>>;

/** What a sender is told to wait when all turns and places are taken: about one upload of 4 MB at 30 Mbit/s. */
const RETRY_AFTER_MS = 1000;

export async function updateRoutes(app: FastifyInstance, deps: HttpDeps): Promise<void> {
  const { concurrentUploads, queuedUploads } = deps.limits;
  const admission = createAdmission({
    concurrent: concurrentUploads,
    queued: queuedUploads,
    retryAfterMs: RETRY_AFTER_MS,
  });

  // In a scope of its own: here every body stays a stream, whatever its type says.
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    scope.put<{ Params: { roundId: RoundId } }>(
      routes.update.pattern,
      {
        schema: {
          summary: "Report an update; the same bytes again are answered by the same receipt",
          tags: ["updates"],
          security: assignmentSecurity,
          params: RoundParams,
          consumes: ["application/octet-stream"],
          body: Bytes,
          response: {
            200: jsonAnswer("The receipt", ReceiptSchema),
            ...problems(
              "UNAUTHENTICATED",
              "NOT_IN_COHORT",
              "ROUND_NOT_FOUND",
              "ROUND_CLOSED",
              "UPDATE_CORRUPT",
              "UPDATE_CONFLICT",
              "UPDATE_TOO_LARGE",
              "UPDATE_LAYOUT_MISMATCH",
              "UPDATE_NOT_FINITE",
              "RATE_LIMITED",
              "ABORTED",
            ),
          },
        },
      },
      async (request) => {
        const sender = watchSender(request.raw);
        try {
          return await receive(request, deps, admission, sender.gone);
        } finally {
          sender.release();
        }
      },
    );
  });
}

async function receive(
  request: UpdateRequest,
  deps: HttpDeps,
  admission: Admission,
  gone: AbortSignal,
): Promise<Receipt> {
  const { intake, metrics } = deps;
  let participant: Participant | undefined;
  try {
    const admitted = await intake.admit(request.params.roundId, bearerToken(request));
    participant = admitted.participant;
    if (admitted.receipt !== undefined) return admitted.receipt;
    const update = await readInTurn(request, deps, admission, admitted, gone);
    const receipt = await intake.report(participant, update);
    if (!receipt.duplicate) metrics.updateAccepted(participant.taskId);
    return receipt;
  } catch (error) {
    metrics.updateRejected(participant?.taskId, asFederatedError(error).code);
    throw error;
  }
}

async function readInTurn(
  request: UpdateRequest,
  deps: HttpDeps,
  admission: Admission,
  { participant, layout, maxBytes }: Admitted,
  gone: AbortSignal,
): Promise<ReceivedUpdate> {
  const { intake, limits, metrics } = deps;
  const { "content-length": announced, [CONTENT_DIGEST_HEADER]: contentDigest } = request.headers;
  const options = {
    layout,
    maxBytes: Math.min(maxBytes, limits.maxUpdateBytes ?? maxBytes),
    contentLength: announced === undefined ? undefined : Number(announced),
    onBytes: metrics.bytesReceived,
    contentDigest: parseContentDigest(contentDigest?.toString()),
  };
  try {
    const { roundId, clientId } = participant;
    const sender = `${roundId} ${clientId}`;
    const leave = await within(
      limits.uploadTimeoutMs,
      "no turn for the upload came up",
      gone,
      (signal) => admission.enter(sender, signal),
    );
    try {
      return await within(
        limits.uploadTimeoutMs,
        "the update did not arrive",
        leave.replaced,
        (signal) =>
          readUpdate(request.raw, { ...options, signal: AbortSignal.any([signal, gone]) }),
      );
    } finally {
      leave();
    }
  } catch (error) {
    const { code, retryable } = asFederatedError(error);
    // Nothing is held against a sender who may come again with the same bytes.
    if (!retryable && code !== "ABORTED") intake.refuse(participant, code);
    throw error;
  }
}

/** @throws FederatedError UNAVAILABLE when `run` takes longer; the reason of `outer` when that aborts */
async function within<Result>(
  timeoutMs: number,
  complaint: string,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const message = `${complaint} within ${timeoutMs} ms; send it again`;
    controller.abort(new FederatedError("UNAVAILABLE", message, { retryAfterMs: RETRY_AFTER_MS }));
  }, timeoutMs);
  timer.unref();
  try {
    return await run(AbortSignal.any([outer, controller.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** Notices from the first moment on when the sender is gone before its body is whole. */
function watchSender(raw: IncomingMessage): { readonly gone: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onClose = () => {
    if (!raw.complete) controller.abort(new FederatedError("ABORTED", "the sender went away"));
  };
  if (raw.destroyed) onClose();
  raw.once("close", onClose);
  return { gone: controller.signal, release: () => void raw.off("close", onClose) };
}
