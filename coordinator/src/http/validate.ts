/** Checks what comes in against its schema, and lets out only what the schema of the answer names. */

import { FederatedError } from "@tributary/protocol";
import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { TLocalizedValidationError } from "typebox/error";

import { createProjection } from "./project.ts";

interface Fault {
  readonly path: string;
  readonly message: string;
}

/** Faults shown of one request: enough to correct it, not enough to fill a log. */
const MAX_FAULTS = 20;

/** A body of bytes is documented in the schema and checked by its route, as it streams in. */
const isBytes = (schema: TSchema) => "format" in schema && schema.format === "binary";

/** For fastify: each part of a request against its schema, nothing coerced in bodies, no field dropped. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (isBytes(schema)) return (value: unknown) => ({ value });
  const compiled = Compile(schema);
  const part = httpPart ?? "request";
  return (received: unknown) => {
    const value = httpPart === "querystring" ? withNumbers(schema, received) : received;
    if (compiled.Check(value)) return { value };
    const faults = listFaults([...compiled.Errors(value)]);
    const told = faults.map(({ path, message }) => `${path} ${message}`).join("; ");
    const error = new FederatedError("MALFORMED_MESSAGE", `${part} is not valid: ${told}`, {
      details: { part, faults },
    });
    return { error };
  };
};

/** A query is text: digits become numbers where the schema asks for an integer. */
function withNumbers(schema: TSchema, query: unknown): unknown {
  const { properties } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(query as Record<string, unknown>).map(([key, value]) => {
      const wanted = properties?.[key]?.type === "integer";
      const isNumber = typeof value === "string" && /^-?\d{1,15}$/.test(value);
      return [key, wanted && isNumber ? Number(value) : value];
    }),
  );
}

/** Every fault once. Of a union only the member that was meant: the one whose `kind` agrees. */
function listFaults(errors: readonly TLocalizedValidationError[]): Fault[] {
  const branchOf = (path: string) => /^.*\/anyOf\/\d+/.exec(path)?.[0];
  const notMeant = new Set(
    errors
      .filter(({ keyword }) => keyword === "const" || keyword === "enum")
      .map(({ schemaPath }) => branchOf(schemaPath)),
  );
  const relevant = errors.filter(({ keyword, schemaPath }) => {
    if (keyword === "boolean") return false;
    const branch = branchOf(schemaPath);
    return branch === undefined || !notMeant.has(branch);
  });
  const faults = (relevant.length > 0 ? relevant : errors).map((error) => ({
    path: error.instancePath === "" ? "/" : error.instancePath,
    message: messageOf(error),
  }));
  return faults.slice(0, MAX_FAULTS);
}

function messageOf(error: TLocalizedValidationError): string {
  if (error.keyword === "additionalProperties") {
    const names = error.params.additionalProperties.map((name) => name.slice(0, 40));
    return `has unknown fields: ${names.join(", ")}`;
  }
  return error.message;
}

/**
 * For fastify: answers as JSON with exactly the fields that the schema names. Whatever else an object
 * happens to carry, a client's id above all, stays inside.
 */
export const compileSerializer = ({ schema }: { readonly schema: TSchema }) => {
  const project = createProjection(schema);
  return (answer: unknown): string => JSON.stringify(project(answer));
};
