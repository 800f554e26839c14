/** Rounds of a task, newest first, and one round by its id. */

import type { RoundId, TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { RoundPageSchema, RoundResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { createViews } from "../views.ts";
import {
  jsonAnswer,
  PageQuery,
  pageOf,
  problems,
  readerSecurity,
  RoundParams,
  TaskParams,
} from "./schemas.ts";

export function roundRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { tasks, authenticator } = deps;
  const onRequest = requireReader(authenticator);
  const viewOf = createViews(deps);
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
    async (request) => {
      const view = await viewOf(request);
      const page = await tasks.rounds(request.params.taskId, pageOf(request.query));
      return { ...page, items: page.items.map((round) => view.round(round)) };
    },
  );

  app.get<{ Params: { roundId: RoundId } }>(
    routes.round.pattern,
    {
      onRequest,
      schema: {
        summary:
          "One round: timings of its phases, participants by how their part ended; under privacy, both for the operator only",
        tags,
        security: readerSecurity,
        params: RoundParams,
        response: {
          200: jsonAnswer("The round", RoundResourceSchema),
          ...problems("UNAUTHENTICATED", "ROUND_NOT_FOUND", "TASK_NOT_FOUND"),
        },
      },
    },
    async (request) => {
      const view = await viewOf(request);
      return view.round(await tasks.round(request.params.roundId));
    },
  );
}
