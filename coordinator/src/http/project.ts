/** Copies of values with exactly the fields that a schema names: what is not in the contract stays inside. */

import type { TSchema } from "typebox";

/** The parts of JSON Schema that the contract is written with. */
interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

type Projection = (value: unknown) => unknown;

/**
 * A function that copies the fields which `schema` names, at every depth. Of a union it takes the member
 * whose constants agree with the value. Values without named fields pass as they are.
 */
export function createProjection(schema: TSchema): Projection {
  return projectionOf(schema);
}

function projectionOf({ properties, items, anyOf }: Shape): Projection {
  if (anyOf !== undefined) return projectUnion(anyOf);
  if (items !== undefined) {
    const project = projectionOf(items);
    return (value) => (Array.isArray(value) ? value.map(project) : value);
  }
  if (properties === undefined) return (value) => value;
  const fields = Object.entries(properties).map(
    ([name, shape]) => [name, projectionOf(shape)] as const,
  );
  return (value) => {
    if (!isObject(value)) return value;
    const copy: Record<string, unknown> = {};
    for (const [name, project] of fields) {
      if (value[name] !== undefined) copy[name] = project(value[name]);
    }
    return copy;
  };
}

function projectUnion(shapes: readonly Shape[]): Projection {
  const members = shapes.map((shape) => ({ shape, project: projectionOf(shape) }));
  return (value) => {
    const member = members.find(({ shape }) => agrees(shape, value)) ?? members[0];
    return member?.project(value);
  };
}

/** Do the constants and enumerations of the shape, at any depth of objects, hold for the value? */
function agrees(shape: Shape, value: unknown): boolean {
  if (shape.const !== undefined) return value === shape.const;
  if (shape.enum !== undefined) return shape.enum.includes(value);
  if (shape.properties === undefined) return true;
  if (!isObject(value)) return false;
  return Object.entries(shape.properties).every(
    ([name, property]) => value[name] === undefined || agrees(property, value[name]),
  );
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
