import { routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createFakeHeart } from "./app.fixture.ts";
import { createHttpApp } from "./app.ts";

interface Operation {
  summary?: string;
  tags?: string[];
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: string; required?: boolean; schema?: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}

let app: FastifyInstance;
let document: Document;
beforeAll(async () => {
  app = await createHttpApp((await createFakeHeart()).deps);
  document = (await app.inject(routes.openapi.path())).json();
});
afterAll(() => app.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe("OpenAPI", () => {
  it("[API11] is of version 3.1 and describes every route of the protocol, and no other", () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info.version).toBe("1.2.3");
    const described = Object.values(routes).map(({ pattern }) =>
      pattern.replace(/:([a-zA-Z]+)/g, "{$1}"),
    );
    expect(Object.keys(document.paths).sort()).toEqual(described.sort());
    const methods = operations().map(({ method, path }) => `${method} ${path}`);
    expect(methods).toContain("post /v1/tasks");
    expect(methods).toContain("put /v1/rounds/{roundId}/update");
    expect(methods).toHaveLength(Object.keys(routes).length + 2);
  });

  it("[API11] every operation has a summary, a known tag, its parameters and coded errors", () => {
    const tags = new Set(document.tags.map(({ name }) => name));
    for (const { path, method, operation } of operations()) {
      const where = `${method} ${path}`;
      expect(operation.summary, where).toBeTruthy();
      expect(
        operation.tags?.every((tag) => tags.has(tag)),
        where,
      ).toBe(true);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = (operation.parameters ?? [])
        .filter((parameter) => parameter.in === "path" && parameter.required === true)
        .map(({ name }) => name);
      expect(declared.sort(), where).toEqual(named.sort());
      const statuses = Object.keys(operation.responses);
      expect(
        statuses.some((status) => status.startsWith("2")),
        where,
      ).toBe(true);
      for (const status of statuses.filter((one) => Number(one) >= 400)) {
        expect(operation.responses[status]?.content, where).toEqual({
          "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
        });
      }
      for (const scheme of (operation.security ?? []).flatMap((one) => Object.keys(one))) {
        expect(document.components.securitySchemes, where).toHaveProperty(scheme);
      }
    }
  });

  it("[API11] every reference resolves, and every shared schema is used", () => {
    const text = JSON.stringify(document);
    const references = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!));
    expect(references.size).toBeGreaterThan(8);
    for (const reference of references) {
      expect(reference).toMatch(/^#\/components\/schemas\/\w+$/);
      const target = document.components.schemas[reference.split("/").at(-1)!];
      expect(target, reference).toMatchObject({ title: reference.split("/").at(-1) });
    }
    expect(Object.keys(document.components.schemas).sort()).toEqual(
      [...references].map((reference) => reference.split("/").at(-1)).sort(),
    );
  });

  it("[API11] tells the types of bodies and answers apart", () => {
    const put = document.paths["/v1/rounds/{roundId}/update"]!.put!;
    expect(Object.keys(put.requestBody!.content)).toEqual(["application/octet-stream"]);
    expect(put.responses["200"]!.content).toEqual({
      "application/json": { schema: { $ref: "#/components/schemas/Receipt" } },
    });
    expect(put.security).toEqual([{ assignmentToken: [] }]);
    const events = document.paths["/v1/events"]!.get!;
    expect(events.responses["200"]!.content).toHaveProperty("text/event-stream");
    const create = document.paths["/v1/tasks"]!.post!;
    expect(JSON.stringify(create.requestBody)).toContain("#/components/schemas/TaskSpecInput");
  });
});
