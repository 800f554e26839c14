/** The single settings of the configuration, by path: what the environment and flags can name. */

import * as Type from "typebox";

import { ConfigSchema } from "./schema.ts";

export interface Setting {
  /** `limits.maxClients`. */
  readonly path: string;
  /** The path in capitals, words of camelCase apart: `TRIBUTARY_LIMITS_MAX_CLIENTS`. */
  readonly environmentName: string;
  readonly schema: Type.TSchema;
  /** Never printed; only from the environment, a file it names, or a program. */
  readonly secret: boolean;
}

export const ENVIRONMENT_PREFIX = "TRIBUTARY_";

/** Every setting by its path. Tasks are none: they are written in a config file. */
export const SETTINGS: ReadonlyMap<string, Setting> = new Map(
  settingsBelow(ConfigSchema, []).map((setting) => [setting.path, setting]),
);

function settingsBelow(schema: Type.TSchema, path: readonly string[]): Setting[] {
  // A list of texts fits into one variable; a list of objects does not.
  if (Type.IsArray(schema) && !Type.IsString(schema.items)) return [];
  const members =
    Type.IsUnion(schema) && schema.anyOf.every(Type.IsObject) ? schema.anyOf : [schema];
  const objects = members.filter(Type.IsObject);
  if (objects.length === 0) {
    const name = path.map((key) => key.replace(/[A-Z]/g, "_$&").toUpperCase()).join("_");
    const secret = "writeOnly" in schema;
    const environmentName = `${ENVIRONMENT_PREFIX}${name}`;
    return [{ path: path.join("."), environmentName, schema, secret }];
  }
  return objects.flatMap((member) =>
    Object.entries(member.properties as Record<string, Type.TSchema>).flatMap(([key, property]) =>
      settingsBelow(property, [...path, key]),
    ),
  );
}

/** Text as the schema's type, lists separated by commas; text that is not of the type stays text, for the schema to refuse. */
export function coerce(schema: Type.TSchema, text: string): unknown {
  if (Type.IsInteger(schema)) return /^[+-]?\d+$/.test(text) ? Number(text) : text;
  if (Type.IsArray(schema)) {
    return text === "" ? [] : text.split(",").map((part) => part.trim());
  }
  if (Type.IsBoolean(schema)) return text === "true" ? true : text === "false" ? false : text;
  return text;
}
