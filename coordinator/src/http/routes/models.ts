/** Versions of a task's model: lineage and evaluation, as JSON. */

import type { TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { ModelPageSchema, ModelResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import {
  jsonAnswer,
  PageQuery,
  pageOf,
  problems,
  readerSecurity,
  TaskParams,
  versionOf,
  VersionParams,
} from "./schemas.ts";

export function modelRoutes(app: FastifyInstance, { models, authenticator }: HttpDeps): void {
  const onRequest = requireReader(authenticator);
  const tags = ["models"];

  app.get<{ Params: { taskId: TaskId }; Querystring: PageQuery }>(
    routes.models.pattern,
    {
      onRequest,
      schema: {
        summary: "Versions of the task's model, newest first",
        tags,
        security: readerSecurity,
        params: TaskParams,
        querystring: PageQuery,
        response: {
          200: jsonAnswer("One page", ModelPageSchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND"),
        },
      },
    },
    ({ params, query }) => models.list(params.taskId, pageOf(query)),
  );

  app.get<{ Params: { taskId: TaskId; modelVersion: string } }>(
    routes.model.pattern,
    {
      onRequest,
      schema: {
        summary: "One version: the round that made it, its evaluation, where its bytes are",
        tags,
        security: readerSecurity,
        params: VersionParams,
        response: {
          200: jsonAnswer("The version", ModelResourceSchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND", "MODEL_NOT_FOUND"),
        },
      },
    },
    ({ params }) => models.get(params.taskId, versionOf(params.modelVersion)),
  );
}
