/** The effective configuration for people and programs: each value with its origin, secrets concealed. */

import type { LoadedConfig } from "./load.ts";
import { valueAt } from "./load.ts";
import { SETTINGS } from "./settings.ts";

const CONCEALED = "[concealed]";

export interface PrintedSetting {
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
}

/** Every setting that has a value. Of tasks only the ids: their specs are printed by `task show`. */
export function printedSettings({ config, origins }: LoadedConfig): PrintedSetting[] {
  return Object.entries(origins).map(([path, origin]) => {
    if (path === "tasks")
      return { path, value: config.tasks.map(({ spec }) => spec.taskId), origin };
    const secret = SETTINGS.get(path)?.secret === true;
    return { path, value: secret ? CONCEALED : valueAt(config, path), origin };
  });
}

/** One line for each setting: `server.port = 9000  # env TRIBUTARY_SERVER_PORT`. */
export function printConfig(loaded: LoadedConfig): string {
  const rows = printedSettings(loaded).map(({ path, value, origin }) => ({
    assignment: `${path} = ${value === CONCEALED ? CONCEALED : JSON.stringify(value)}`,
    origin,
  }));
  const width = Math.max(...rows.map(({ assignment }) => Math.min(assignment.length, 44)));
  return rows
    .map(({ assignment, origin }) => `${assignment.padEnd(width)}  # ${origin}\n`)
    .join("");
}
