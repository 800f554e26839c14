/** Tasks: what they are, and the ways to steer them. */

import type { TaskId, TaskSpecInput } from "@tributary/protocol";
import { FederatedError, float32FromBytes, routes } from "@tributary/protocol";
import { TaskResourceSchema, TaskSpecInputSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { requireAdmin, requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { createViews } from "../views.ts";
import { adminSecurity, jsonAnswer, problems, readerSecurity, TaskParams } from "./schemas.ts";

/** Base64 of 50 M float32. It can be this much because an admin's token is asked for before. */
const MAX_WEIGHTS_CHARACTERS = 2 ** 28;

const CreateTaskBody = Type.Object(
  {
    spec: TaskSpecInputSchema,
    initialWeights: Type.Optional(
      Type.String({
        contentEncoding: "base64",
        description: "Little-endian float32 in layout order; zeros when absent",
      }),
    ),
  },
  { additionalProperties: false },
);
interface CreateTaskBody {
  readonly spec: TaskSpecInput;
  readonly initialWeights?: string;
}

/** @throws FederatedError MALFORMED_MESSAGE */
function decodeWeights(base64: string): Float32Array {
  const bytes = Buffer.from(base64, "base64");
  // Buffer passes over what is not base64, so the length tells whether all of it was.
  if (bytes.toString("base64").length !== base64.length || bytes.length % 4 !== 0) {
    throw new FederatedError("MALFORMED_MESSAGE", "initialWeights is not base64 of float32 values");
  }
  return float32FromBytes(bytes);
}

export function taskRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { tasks, authenticator } = deps;
  const read = { onRequest: requireReader(authenticator) };
  const steer = { onRequest: requireAdmin(authenticator) };
  const viewOf = createViews(deps);
  const tags = ["tasks"];

  app.get(
    routes.tasks.pattern,
    {
      ...read,
      schema: {
        summary:
          "All tasks, in order of creation; under privacy, what depends on clients for the operator only",
        tags,
        security: readerSecurity,
        response: {
          200: jsonAnswer("The tasks", Type.Object({ items: Type.Array(TaskResourceSchema) })),
          ...problems("UNAUTHENTICATED"),
        },
      },
    },
    async (request) => {
      const view = await viewOf(request);
      return { items: (await tasks.list()).map((task) => view.task(task)) };
    },
  );

  app.get<{ Params: { taskId: TaskId } }>(
    routes.task.pattern,
    {
      ...read,
      schema: {
        summary: "One task",
        tags,
        security: readerSecurity,
        params: TaskParams,
        response: {
          200: jsonAnswer("The task", TaskResourceSchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND"),
        },
      },
    },
    async (request) => {
      const view = await viewOf(request);
      return view.task(await tasks.get(request.params.taskId));
    },
  );

  app.post<{ Body: CreateTaskBody }>(
    routes.tasks.pattern,
    {
      ...steer,
      bodyLimit: deps.limits.maxBodyBytes + MAX_WEIGHTS_CHARACTERS,
      schema: {
        summary: "Create and start a task",
        tags,
        security: adminSecurity,
        body: CreateTaskBody,
        response: {
          201: jsonAnswer("The task; `Location` is its path", TaskResourceSchema),
          ...problems(
            "UNAUTHENTICATED",
            "FORBIDDEN",
            "TASK_EXISTS",
            "CONFIG_INVALID",
            "PAYLOAD_TOO_LARGE",
            "MEDIA_TYPE_UNSUPPORTED",
          ),
        },
      },
    },
    async ({ body }, reply) => {
      const { spec, initialWeights } = body;
      const weights = initialWeights === undefined ? undefined : decodeWeights(initialWeights);
      const task = await tasks.create(spec, weights);
      const { taskId } = task;
      return reply.code(201).header("location", routes.task.path({ taskId })).send(task);
    },
  );

  const commands = [
    ["pause", routes.pauseTask, "Let the open round finish and start no other"],
    ["resume", routes.resumeTask, "Go on with rounds"],
    ["cancel", routes.cancelTask, "Abandon the open round and end the task"],
  ] as const;
  for (const [command, { pattern }, summary] of commands) {
    app.post<{ Params: { taskId: TaskId } }>(
      pattern,
      {
        ...steer,
        schema: {
          summary,
          tags,
          security: adminSecurity,
          params: TaskParams,
          response: {
            200: jsonAnswer("The task as it is now", TaskResourceSchema),
            ...problems("UNAUTHENTICATED", "FORBIDDEN", "TASK_NOT_FOUND", "TASK_ENDED"),
          },
        },
      },
      ({ params }) => tasks[command](params.taskId),
    );
  }
}
