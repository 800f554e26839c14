/** The keys that models are signed with: the chain that clients follow, and its next link. */

import { routes } from "@tributary/protocol";
import { KeyRecordSchema, KeysResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";

import { requireAdmin, requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { adminSecurity, jsonAnswer, problems, readerSecurity } from "./schemas.ts";

export function keyRoutes(app: FastifyInstance, { keys, authenticator }: HttpDeps): void {
  app.get(
    routes.keys.pattern,
    {
      onRequest: requireReader(authenticator),
      schema: {
        summary: "Keys that models are signed with, oldest first; each is signed by the one before",
        tags: ["models"],
        security: readerSecurity,
        response: {
          200: jsonAnswer("The chain", KeysResourceSchema),
          ...problems("UNAUTHENTICATED"),
        },
      },
    },
    async () => ({ keys: keys.list() }),
  );

  app.post(
    routes.rotateKeys.pattern,
    {
      onRequest: requireAdmin(authenticator),
      schema: {
        summary:
          "Make a new signing key; the newest version of each task is signed with it at once",
        tags: ["models"],
        security: adminSecurity,
        response: {
          200: jsonAnswer("The new key", KeyRecordSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN", "CONFIG_INVALID"),
        },
      },
    },
    () => keys.rotate(),
  );
}
