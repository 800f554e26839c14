/** What a task has spent of its privacy budget, and the promise in words. */

import type { TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { PrivacyResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { jsonAnswer, problems, readerSecurity, TaskParams } from "./schemas.ts";

export function privacyRoutes(app: FastifyInstance, { tasks, authenticator }: HttpDeps): void {
  app.get<{ Params: { taskId: TaskId } }>(
    routes.privacy.pattern,
    {
      onRequest: requireReader(authenticator),
      schema: {
        summary: "Privacy budget of a task: spent, left, and the promise in words",
        tags: ["privacy"],
        security: readerSecurity,
        params: TaskParams,
        response: {
          200: jsonAnswer("The budget", PrivacyResourceSchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND"),
        },
      },
    },
    ({ params }) => tasks.privacy(params.taskId),
  );
}
