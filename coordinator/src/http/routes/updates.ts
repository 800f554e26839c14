/** The one idempotent PUT of an update: admitted by its token, read to where it is added from, answered by a receipt. */

import type { Receipt, RoundId } from "@tributary/protocol";
import { CONTENT_DIGEST_HEADER, parseContentDigest, routes } from "@tributary/protocol";
import { ReceiptSchema } from "@tributary/protocol/schema";
import type { FastifyInstance, FastifyRequest } from "fastify";

import type { Participant, ReceivedUpdate } from "../../ports.ts";
import type { Admission, Turn } from "../admission.ts";
import { bearerToken } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { asFederatedError } from "../problem.ts";
import { isPacked, packedMemory, readPacked } from "../read-packed.ts";
import { assertSize, readUpdate } from "../read-update.ts";
import { watchSender } from "../watch-sender.ts";
import { within } from "../within.ts";
import { assignmentSecurity, Bytes, jsonAnswer, problems, RoundParams } from "./schemas.ts";

type UpdateRequest = FastifyRequest<{ Params: { roundId: RoundId } }>;
type Admitted = Awaited<ReturnType<HttpDeps["intake"]["admit"]>>;

export async function updateRoutes(
  app: FastifyInstance,
  deps: HttpDeps,
  admission: Admission,
): Promise<void> {
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
              "UPDATE_ENCODING_MISMATCH",
              "UPDATE_NOT_FINITE",
              "MEDIA_TYPE_UNSUPPORTED",
              "RATE_LIMITED",
              "ABORTED",
            ),
          },
        },
      },
      async (request) => {
        const { ending, release } = watchSender(request.raw);
        try {
          return await receive(request, deps, admission, ending);
        } finally {
          release();
        }
      },
    );
  });
}

async function receive(
  request: UpdateRequest,
  deps: HttpDeps,
  admission: Admission,
  ending: AbortController,
): Promise<Receipt> {
  const { intake, metrics } = deps;
  let participant: Participant | undefined;
  let leave: (() => void) | undefined;
  try {
    const admitted = await intake.admit(request.params.roundId, bearerToken(request), (reason) =>
      ending.abort(reason),
    );
    participant = admitted.participant;
    leave = admitted.leave;
    if (admitted.receipt !== undefined) return admitted.receipt;
    const { turn, update } = await readInTurn(request, deps, admission, admitted, ending);
    // The update takes its memory until it is part of the sum.
    const receipt = await intake.report(participant, update).finally(turn);
    if (!receipt.duplicate) metrics.updateAccepted(participant.taskId);
    return receipt;
  } catch (error) {
    metrics.updateRejected(participant?.taskId, asFederatedError(error).code);
    throw error;
  } finally {
    leave?.();
  }
}

async function readInTurn(
  request: UpdateRequest,
  deps: HttpDeps,
  admission: Admission,
  { participant, maxBytes: fitting, layout, encoding, slots }: Admitted,
  ending: AbortController,
): Promise<{ readonly turn: Turn; readonly update: ReceivedUpdate }> {
  const { intake, limits, metrics } = deps;
  const { "content-length": announced, [CONTENT_DIGEST_HEADER]: digestHeader } = request.headers;
  const contentDigest = parseContentDigest(digestHeader?.toString());
  const contentLength = announced === undefined ? undefined : Number(announced);
  const maxBytes = Math.min(fitting, limits.maxUpdateBytes ?? fitting);
  let turn: Turn | undefined;
  try {
    const packed = isPacked(request.headers["content-encoding"]);
    if (contentLength !== undefined) assertSize(contentLength, maxBytes);
    const { roundId, clientId } = participant;
    const sender = `${roundId} ${clientId}`;
    const memory = packed ? packedMemory(contentLength, maxBytes) : (contentLength ?? maxBytes);
    turn = await within({ what: "a turn for the upload", limits, ending }, () =>
      admission.enter(sender, memory, ending),
    );
    const sending = { what: "the update", limits, ending, sending: true };
    const { signal } = ending;
    const update = await within(sending, (moved) =>
      (packed ? readPacked : readUpdate)(request.raw, {
        ...{ layout, encoding, slots, maxBytes, contentLength, contentDigest, signal },
        onBytes: (bytes) => {
          moved(bytes);
          metrics.bytesReceived(bytes);
        },
      }),
    );
    return { turn, update };
  } catch (error) {
    turn?.();
    const { code, retryable } = asFederatedError(error);
    // Nothing is held against a sender who may come again with the same bytes.
    if (!retryable && code !== "ABORTED") intake.refuse(participant, code);
    throw error;
  }
}
