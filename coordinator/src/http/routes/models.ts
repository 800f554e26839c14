/** Versions of a task's model: lineage and evaluation, as JSON. */

import type { TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { ModelPageSchema, ModelResourceSchema } from "@tributary/protocol/schema";
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
  TaskParams,
  versionOf,
  VersionParams,
} from "./schemas.ts";

export function modelRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { models, authenticator } = deps;
  const onRequest = requireReader(authenticator);
  const viewOf = createViews(deps);
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
    async (request) => {
      const view = await viewOf(request);
      const page = await models.list(request.params.taskId, pageOf(request.query));
      return { ...page, items: page.items.map((model) => view.model(model)) };
    },
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
    async (request) => {
      const view = await viewOf(request);
      const { taskId, modelVersion } = request.params;
      return view.model(await models.get(taskId, versionOf(modelVersion)));
    },
  );
}
