/** Copies of all data, made while the coordinator runs. */

import { routes } from "@tributary/protocol";
import { BackupResourceSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { requireAdmin } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { adminSecurity, jsonAnswer, problems } from "./schemas.ts";

/** Never a path: where backups go is the configuration's to say. */
const BackupBody = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 64,
      description: "Folder below storage.backupDirectory",
    }),
  },
  { additionalProperties: false },
);

export function backupRoutes(app: FastifyInstance, { backups, authenticator }: HttpDeps): void {
  app.post<{ Body: { readonly name: string } }>(
    routes.backups.pattern,
    {
      onRequest: requireAdmin(authenticator),
      schema: {
        summary: "Copy everything, consistent at one instant, while rounds run",
        tags: ["operations"],
        security: adminSecurity,
        body: BackupBody,
        response: {
          201: jsonAnswer("The backup", BackupResourceSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN", "BACKUP_EXISTS", "CONFIG_INVALID"),
        },
      },
    },
    async ({ body }, reply) => reply.code(201).send(await backups.create(body.name)),
  );
}
