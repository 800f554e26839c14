/** Settings from `TRIBUTARY_*` variables: the name is the path, mechanically. */

import { readFile } from "node:fs/promises";

import type { Fault } from "./schema.ts";
import type { Setting } from "./settings.ts";
import { coerce, ENVIRONMENT_PREFIX, SETTINGS } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value for one setting, and who gave it. */
export interface Given {
  readonly path: string;
  readonly value: unknown;
  /** As `config print` shows it: `env TRIBUTARY_SERVER_PORT`. */
  readonly origin: string;
}

/** Variables that are no settings of the coordinator: where remote commands find it. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(["TRIBUTARY_URL"]);
const FILE_SUFFIX = "_FILE";

/**
 * Reads every `TRIBUTARY_*` variable. A secret may also come from the file that `<name>_FILE` names,
 * as container platforms hand secrets over. A variable that is no setting is a fault: it was meant.
 */
export async function readEnvironment(env: Environment, faults: Fault[]): Promise<Given[]> {
  const byName = new Map([...SETTINGS.values()].map((s) => [s.environmentName, s]));
  const given: Given[] = [];
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || OTHER_VARIABLES.has(name)) continue;
    if (text === undefined) continue;
    const origin = `env ${name}`;
    const setting = byName.get(name);
    if (setting !== undefined) {
      given.push({ path: setting.path, value: coerce(setting.schema, text), origin });
      continue;
    }
    const secret = secretOfFile(name, byName);
    if (secret === undefined) {
      const message =
        "is no setting of Tributary; they are named like TRIBUTARY_SERVER_PORT for server.port";
      faults.push({ path: origin, message });
    } else if (env[secret.environmentName] !== undefined) {
      const message = `is set as well as ${secret.environmentName}: keep one of them`;
      faults.push({ path: origin, message });
    } else {
      const value = await readSecret(text, origin, faults);
      if (value !== undefined) given.push({ path: secret.path, value, origin });
    }
  }
  return given;
}

function secretOfFile(name: string, byName: ReadonlyMap<string, Setting>): Setting | undefined {
  if (!name.endsWith(FILE_SUFFIX)) return undefined;
  const setting = byName.get(name.slice(0, -FILE_SUFFIX.length));
  return setting?.secret === true ? setting : undefined;
}

async function readSecret(
  file: string,
  origin: string,
  faults: Fault[],
): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trimEnd();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    faults.push({ path: origin, message: `names a file that cannot be read: ${reason}` });
    return undefined;
  }
}
