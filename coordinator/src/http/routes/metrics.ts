/** Prometheus metrics as text. */

import { routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { bearerToken, requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { problems, readerSecurity } from "./schemas.ts";

export function metricsRoutes(app: FastifyInstance, { metrics, authenticator }: HttpDeps): void {
  app.get(
    routes.metrics.pattern,
    {
      onRequest: requireReader(authenticator),
      schema: {
        summary:
          "Prometheus metrics; what depends on the clients of a task under privacy for the operator only",
        tags: ["health"],
        security: readerSecurity,
        response: {
          200: {
            description: "Text exposition format",
            content: { "text/plain": { schema: Type.String() } },
          },
          ...problems("UNAUTHENTICATED"),
        },
      },
    },
    async (request, reply) => {
      const isOperator = await authenticator.isOperator(bearerToken(request));
      const text = await metrics.render(isOperator ? "operator" : "anyone");
      return reply.type(metrics.contentType).send(text);
    },
  );
}
