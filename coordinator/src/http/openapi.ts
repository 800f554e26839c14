/** The API's description, made from the very schemas that requests and answers are checked with. */

import swagger from "@fastify/swagger";
import { CLIENT_KEY_HEADER, routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { requireReader } from "./authenticate.ts";
import type { HttpDeps } from "./deps.ts";
import { jsonAnswer, problems, readerSecurity } from "./routes/schemas.ts";

const bearer = (description: string) => ({ type: "http" as const, scheme: "bearer", description });

/** Must be registered before the routes that it is to describe. */
export async function describeApi(app: FastifyInstance, { version }: HttpDeps): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Tributary coordinator",
        version,
        description: "Monitoring and steering of federated learning; bytes of models and updates.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      tags: [
        { name: "tasks", description: "Named training jobs" },
        { name: "rounds", description: "One try each: select, report, aggregate" },
        { name: "models", description: "Published versions and their bytes" },
        { name: "updates", description: "What participants report" },
        { name: "clients", description: "Who is let in" },
        { name: "privacy", description: "Budget of differential privacy" },
        { name: "events", description: "Live events" },
        { name: "audit", description: "What was done, in a chain that shows every change" },
        { name: "operations", description: "Copies of everything, for a bad day" },
        { name: "health", description: "Probes, metrics and this description" },
      ],
      components: {
        securitySchemes: {
          readerToken: bearer(
            "A client's credential (shared token, JWT, key of an enrolled client), viewer or admin token; not asked for where clients need none",
          ),
          clientKey: {
            type: "apiKey" as const,
            in: "header",
            name: CLIENT_KEY_HEADER,
            description: "The client's own secret: 32 random bytes in base64url",
          },
          clientToken: bearer(
            "What lets a client in: the shared token, a JWT, or once an enrolment token",
          ),
          viewerToken: bearer(
            "Viewer token: the role that reads and steers nothing; under privacy it is not shown what is the operator's",
          ),
          adminToken: bearer("Admin token: the role operator, which steers"),
          assignmentToken: bearer("Token of the assignment that the update answers"),
        },
      },
    },
  });
}

/** Must be registered after all other routes. */
export function openapiRoutes(app: FastifyInstance, { authenticator }: HttpDeps): void {
  let text: string | undefined;
  app.get(
    routes.openapi.pattern,
    {
      onRequest: requireReader(authenticator),
      schema: {
        summary: "This description, OpenAPI 3.1",
        tags: ["health"],
        security: readerSecurity,
        response: {
          200: jsonAnswer("The description", Type.Record(Type.String(), Type.Unknown())),
          ...problems("UNAUTHENTICATED"),
        },
      },
    },
    async (_request, reply) => {
      text ??= JSON.stringify(shareSchemas(app.swagger()));
      return reply.type("application/json").send(text);
    },
  );
}

/** The document with each schema that has a title written once, under `components`, and referred to. */
export function shareSchemas(document: object): object {
  const schemas: Record<string, unknown> = {};
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== "object" || value === null) return value;
    const copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item)]));
    const { title } = value as { title?: unknown };
    const isSchema = "type" in value || "anyOf" in value;
    if (typeof title !== "string" || !isSchema) return copy;
    schemas[title] = copy;
    return { $ref: `#/components/schemas/${title}` };
  };
  const { components, ...rest } = visit(document) as { components?: object };
  return { ...rest, components: { ...components, schemas } };
}
