/** The configuration from its sources, each over the one before: defaults, file, environment, flags. */

import { dirname, resolve } from "node:path";

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { resolveTaskSpec } from "../task/spec.ts";
import type { EvaluatorSource } from "./config-file.ts";
import { readConfigFile } from "./config-file.ts";
import type { Environment, Given } from "./environment.ts";
import { readEnvironment } from "./environment.ts";
import type { Config, Fault } from "./schema.ts";
import { assertNoFaults, resolveConfig } from "./schema.ts";
import { coerce, SETTINGS } from "./settings.ts";

/** One setting from the command line; `text` is read as the setting's type says. */
export interface FlagSetting {
  readonly path: string;
  readonly text: string;
  /** As it was written: `--port`. */
  readonly flag: string;
}

export interface ConfigSources {
  readonly cwd: string;
  readonly env: Environment;
  /** Absent: `tributary.config.*` in `cwd`, where there is one. */
  readonly configFile?: string;
  /** Later ones win. */
  readonly flags: readonly FlagSetting[];
}

export interface LoadedConfig {
  readonly config: Config;
  /** Path of a setting -> `default`, `file <path>`, `env <name>` or `flag <name>`. */
  readonly origins: Readonly<Record<string, string>>;
  readonly evaluators: Readonly<Record<string, EvaluatorSource>>;
}

/**
 * Reads all sources and checks the result, configured tasks included. Paths become absolute: the data
 * directory is meant from the working directory, a file that the config file names from where that is.
 * @throws FederatedError CONFIG_INVALID, with all faults of all sources in `details.faults`
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const faults: Fault[] = [];
  const file = await readConfigFile(sources.cwd, sources.configFile);
  const origins = new Map<string, string>();
  const tree = createTree();
  const take = ({ path, value, origin }: Given) => {
    put(tree, path, value);
    origins.set(path, origin);
  };
  if (file !== undefined) fromFile(file.config, `file ${file.file}`, faults).forEach(take);
  const base = file === undefined ? sources.cwd : dirname(file.file);
  (await readEnvironment(sources.env, faults)).forEach(take);
  fromFlags(sources.flags, faults).forEach(take);

  const config = collect(faults, () => resolveConfig(tree));
  const evaluators = file?.evaluators ?? {};
  for (const [index, task] of (config?.tasks ?? []).entries()) {
    const path = `tasks.${index}.spec`;
    const spec = collect(faults, () => resolveTaskSpec(task.spec), path);
    if (spec?.evaluation.kind !== "central" || Object.hasOwn(evaluators, spec.evaluation.evaluator))
      continue;
    const known = Object.keys(evaluators).join(", ");
    const message = `is "${spec.evaluation.evaluator}", and the config file exports ${known === "" ? "no evaluators" : `the evaluators ${known}`}`;
    faults.push({ path: `${path}.evaluation.evaluator`, message });
  }
  assertNoFaults("the configuration", faults.map(withOrigin(origins)));
  if (config === undefined) throw new FederatedError("INTERNAL", "a refused config had no faults");
  const tasks = config.tasks.map((task) =>
    task.initialWeightsFile === undefined
      ? task
      : Object.freeze({ ...task, initialWeightsFile: resolve(base, task.initialWeightsFile) }),
  );
  // Like a task's file, from where the config file is; from the environment and flags like the data.
  const located = (path: string, file: string) =>
    resolve(origins.get(path)?.startsWith("file ") === true ? base : sources.cwd, file);
  const tls = Object.entries(config.server.tls).map(
    ([name, file]) => [name, located(`server.tls.${name}`, file)] as const,
  );
  return {
    config: Object.freeze({
      ...config,
      server: Object.freeze({
        ...config.server,
        tls: Object.freeze(Object.fromEntries(tls) as Config["server"]["tls"]),
      }),
      storage: absolute(config.storage, sources.cwd),
      tasks: Object.freeze(tasks),
    }),
    origins: originOfEach(config, origins),
    evaluators,
  };
}

type Tree = Record<string, unknown>;
/** Without a prototype, so that `__proto__` is a key like any other. */
const createTree = (): Tree => Object.create(null) as Tree;

/** Settings of a file as single values; what is no object where a group is expected stays as it is. */
function fromFile(config: unknown, origin: string, faults: Fault[]): Given[] {
  if (!isTree(config)) {
    faults.push({ path: "", message: `must be an object (${origin})` });
    return [];
  }
  const given: Given[] = [];
  const visit = (value: unknown, path: string) => {
    if (SETTINGS.get(path)?.secret === true && value !== undefined) {
      const name = SETTINGS.get(path)?.environmentName ?? "";
      const message = `is a secret, and config files are copied and committed: set ${name} or ${name}_FILE instead`;
      faults.push({ path, message });
    } else if (isTree(value) && Object.keys(value).length > 0) {
      for (const [key, member] of Object.entries(value)) {
        const below = path === "" ? key : `${path}.${key}`;
        if (key.includes(".")) faults.push({ path: below, message: "is unknown: nest objects" });
        else visit(member, below);
      }
    } else if (value !== undefined && path !== "") given.push({ path, value, origin });
  };
  visit(config, "");
  return given;
}

function fromFlags(flags: readonly FlagSetting[], faults: Fault[]): Given[] {
  return flags.flatMap(({ path, text, flag }) => {
    const setting = SETTINGS.get(path);
    if (setting === undefined) {
      faults.push({ path: path.slice(0, 60), message: `is no setting (flag ${flag})` });
      return [];
    }
    if (setting.secret) {
      const name = setting.environmentName;
      const message = `is a secret, and command lines can be seen by others: set ${name} or ${name}_FILE instead`;
      faults.push({ path, message });
      return [];
    }
    return [{ path, value: coerce(setting.schema, text), origin: `flag ${flag}` }];
  });
}

/** Sets a value in the tree. Storage in memory leaves the settings of the kind before it behind. */
function put(tree: Tree, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() ?? path;
  let group = tree;
  for (const key of keys) {
    const below = group[key];
    // What a file has here is wrong, and must stay to be refused.
    if (below !== undefined && !isTree(below)) return;
    const next = below ?? createTree();
    group[key] = next;
    group = next;
  }
  if (path === "storage.kind" && value === "memory") {
    for (const key of Object.keys(group)) Reflect.deleteProperty(group, key);
  }
  group[last] = value;
}

const absolute = (storage: Config["storage"], cwd: string): Config["storage"] =>
  storage.kind === "memory"
    ? storage
    : Object.freeze({
        ...storage,
        directory: resolve(cwd, storage.directory),
        ...(storage.backupDirectory === undefined
          ? {}
          : { backupDirectory: resolve(cwd, storage.backupDirectory) }),
      });

/** What `run` returns, or undefined after adding its faults under `below`. */
function collect<T>(faults: Fault[], run: () => T, below = ""): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!isFederatedError(error) || error.code !== "CONFIG_INVALID") throw error;
    for (const { path, message } of error.details?.faults as readonly Fault[]) {
      faults.push({ path: [below, path].filter((part) => part !== "").join("."), message });
    }
    return undefined;
  }
}

const withOrigin =
  (origins: ReadonlyMap<string, string>) =>
  (fault: Fault): Fault => {
    const origin = origins.get(fault.path);
    return origin === undefined ? fault : { ...fault, message: `${fault.message} (${origin})` };
  };

function originOfEach(
  config: Config,
  origins: ReadonlyMap<string, string>,
): Record<string, string> {
  const paths = [...SETTINGS.keys(), "tasks"].filter((path) => valueAt(config, path) !== undefined);
  return Object.fromEntries(paths.map((path) => [path, origins.get(path) ?? "default"]));
}

/** The value of a setting; undefined where the config has none. */
export function valueAt(config: Config, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), config);
}

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);
