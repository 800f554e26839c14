/** Rounds of a task, newest first, and one round by its id. */

import type { RoundId, TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { RoundPageSchema, RoundResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import {
  jsonAnswer,
  PageQuery,
  pageOf,
  problems,
  readerSecurity,
  RoundParams,
  TaskParams,
} from "./schemas.ts";

export function roundRoutes(app: FastifyInstance, { tasks, authenticator }: HttpDeps): void {
  const onRequest = requireReader(authenticator);
  const tags = ["rounds"];

  app.get<{ Params: { taskId: TaskId }; Querystring: PageQuery }>(
    routes.rounds.pattern,
    {
      onRequest,
      schema: {
        summary: "Rounds of a task, newest first, the open one included",
        tags,
        security: readerSecurity,
        params: TaskParams,
        querystring: PageQuery,
        response: {
          200: jsonAnswer("One page", RoundPageSchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND"),
        },
      },
    },
    ({ params, query }) => tasks.rounds(params.taskId, pageOf(query)),
  );

  app.get<{ Params: { roundId: RoundId } }>(
    routes.round.pattern,
    {
      onRequest,
      schema: {
        summary: "One round: timings of its phases, participants by how their part ended",
        tags,
        security: readerSecurity,
        params: RoundParams,
        response: {
          200: jsonAnswer("The round", RoundResourceSchema),
          ...problems("UNAUTHENTICATED", "ROUND_NOT_FOUND", "TASK_NOT_FOUND"),
        },
      },
    },
    ({ params }) => tasks.round(params.roundId),
  );
}
