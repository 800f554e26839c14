/** Checking in by HTTP: one request asks for a place and waits a while for it; another one gives a place back. */

import { setImmediate } from "node:timers/promises";

import type { CheckInQuery, RoundId, TaskId } from "@tributary/protocol";
import { CLIENT_KEY_HEADER, FederatedError, routes } from "@tributary/protocol";
import { CheckInQuerySchema, HttpCheckInReplySchema } from "@tributary/protocol/schema";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";

import type { HttpVisitor } from "../../ports.ts";
import { bearerToken } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import {
  assignmentSecurity,
  clientSecurity,
  jsonAnswer,
  problems,
  RoundParams,
  TaskParams,
} from "./schemas.ts";

export function checkInRoutes(
  app: FastifyInstance,
  { desk, tokens, edge, peerAddress }: HttpDeps,
): void {
  const admitted = new WeakMap<FastifyRequest, HttpVisitor>();

  /** As a socket's handshake is: the page's origin, then the credentials, which are the same. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    // Its answer stands in a line (pipelining): one connection would hold any number of clients. The one before it may
    // just have been sent, which node hears of a little later.
    if (reply.raw.socket === null) await setImmediate();
    if (reply.raw.socket === null) {
      const message = "a check-in is sent only when its connection has had all answers before it";
      throw new FederatedError("MALFORMED_MESSAGE", message);
    }
    const foreign = edge.originFault(request.raw);
    if (foreign !== undefined) throw foreign;
    const { "content-length": length, "transfer-encoding": chunked } = request.headers;
    // A body would hold a turn that uploads need for as long as the request is held.
    if (chunked !== undefined || Number(length ?? 0) > 0) {
      throw new FederatedError("MALFORMED_MESSAGE", "a check-in has no body");
    }
    const token = bearerToken(request);
    const clientKey = String(request.headers[CLIENT_KEY_HEADER] ?? "");
    const auth = { clientKey, ...(token === undefined ? {} : { token }) };
    const address = peerAddress(request.raw);
    admitted.set(request, { ...(await desk.authenticate(auth)), address });
  }

  app.post<{ Params: { taskId: TaskId }; Querystring: CheckInQuery }>(
    routes.checkIns.pattern,
    {
      onRequest: admit,
      schema: {
        summary:
          "Ask for a place in the next round and wait a while for it; answered with the place, or with when to come back",
        tags: ["clients"],
        security: clientSecurity,
        params: TaskParams,
        querystring: CheckInQuerySchema,
        response: {
          200: jsonAnswer("What was found, and when to come back", HttpCheckInReplySchema),
          ...problems(
            "UNAUTHENTICATED",
            "FORBIDDEN",
            "TASK_NOT_FOUND",
            "TASK_ENDED",
            "PROTOCOL_VERSION_UNSUPPORTED",
            "PRIVACY_BUDGET_EXHAUSTED",
            "ABORTED",
          ),
        },
      },
    },
    async (request, reply) => {
      const client = admitted.get(request);
      if (client === undefined) throw new Error("a check-in was served before it was admitted");
      const controller = new AbortController();
      const onClose = () => controller.abort();
      reply.raw.once("close", onClose);
      if (reply.raw.destroyed) onClose();
      const { taskId } = request.params;
      const { answer, ended } = await desk.checkIn(
        client,
        taskId,
        request.query,
        controller.signal,
      );
      // Closed before: nobody is there to take it.
      if (controller.signal.aborted) ended(false);
      else reply.raw.once("close", () => ended(reply.raw.writableFinished));
      return answer;
    },
  );

  app.post<{ Params: { roundId: RoundId } }>(
    routes.decline.pattern,
    {
      schema: {
        summary: "Give the place of an assignment back, so that its round does not wait for it",
        tags: ["clients"],
        security: assignmentSecurity,
        params: RoundParams,
        response: {
          204: { description: "The round waits for this client no more", ...NOTHING },
          ...problems("UNAUTHENTICATED", "NOT_IN_COHORT", "ROUND_CLOSED", "TASK_NOT_FOUND"),
        },
      },
    },
    async (request, reply) => {
      const { roundId } = request.params;
      const { clientId } = tokens.verify(bearerToken(request), roundId);
      await desk.decline(clientId, roundId);
      return reply.code(204).send();
    },
  );
}

const NOTHING = Type.Null();
