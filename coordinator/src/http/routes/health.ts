/** Is the process alive, and can it do its work? Open to everybody: probes carry no token. */

import { FederatedError, isFederatedError, routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import type { HttpDeps } from "../deps.ts";
import { jsonAnswer, problems } from "./schemas.ts";

export function healthRoutes(app: FastifyInstance, { health, logger, version }: HttpDeps): void {
  const tags = ["health"];
  const Status = Type.Object({ status: Type.String(), version: Type.String() });

  app.get(
    routes.livez.pattern,
    {
      schema: {
        summary: "Is the process alive?",
        tags,
        response: { 200: jsonAnswer("It is", Status), ...problems() },
      },
    },
    async () => ({ status: "alive", version }),
  );

  /** Told once until it changes: anybody may ask, as often as they like. */
  let toldReason: string | undefined;
  app.get(
    routes.readyz.pattern,
    {
      schema: {
        summary: "Can the coordinator do its work? 503 while it starts, closes or cannot store",
        tags,
        response: { 200: jsonAnswer("It can", Status), ...problems() },
      },
    },
    async () => {
      try {
        await health.ready();
        toldReason = undefined;
      } catch (error) {
        const reason = String(error);
        // It may name files, so it stays in the log.
        if (reason !== toldReason) logger?.warn({ error }, "not ready");
        toldReason = reason;
        const message = isFederatedError(error) ? error.message : "the coordinator is not ready";
        throw new FederatedError("UNAVAILABLE", message, { retryAfterMs: 1000, cause: error });
      }
      return { status: "ready", version };
    },
  );
}
