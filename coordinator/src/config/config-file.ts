/** The config file: JSON, or a TypeScript or JavaScript module that may bring evaluators along. */

import { access, readFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";

import { FederatedError } from "@tributary/protocol";
import { createJiti } from "jiti";

import type { Evaluator } from "../ports.ts";
import { assertNoFaults } from "./schema.ts";

/** An evaluator, or a function that makes it when the coordinator starts. */
export type EvaluatorSource = Evaluator | (() => Evaluator | Promise<Evaluator>);

export interface ConfigFile {
  /** Absolute path. */
  readonly file: string;
  readonly config: unknown;
  readonly evaluators: Readonly<Record<string, EvaluatorSource>>;
}

/** Looked for in the working directory when no file is named. */
export const CONFIG_FILE_NAMES = ["ts", "mts", "js", "mjs", "json"].map(
  (extension) => `tributary.config.${extension}`,
);

/**
 * Reads the file named, or the one of {@link CONFIG_FILE_NAMES} that is in `cwd`.
 *
 * A JSON file is the config. A module exports `config`, and if tasks need them `evaluators`, by name:
 *
 *     export const config: ConfigInput = { server: { port: 9000 } };
 *     export const evaluators = { mnist: () => createMnistEvaluator() };
 *
 * A default export may take the place of both, as `{ config, evaluators }` or as the config alone.
 * @returns undefined when no file is named and none is there
 * @throws FederatedError CONFIG_INVALID when the file cannot be read or is none of these
 */
export async function readConfigFile(
  cwd: string,
  named: string | undefined,
): Promise<ConfigFile | undefined> {
  const file = named === undefined ? await findConfigFile(cwd) : resolve(cwd, named);
  if (file === undefined) return undefined;
  const content = await readSource(file);
  if (content.kind === "json") return { file, config: content.value, evaluators: {} };
  return { file, ...partsOf(file, content.exports) };
}

/** What a file holds: the value of a JSON file, the exports of a TypeScript or JavaScript module. */
export type Source =
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "module"; readonly exports: Readonly<Record<string, unknown>> };

/** @throws FederatedError CONFIG_INVALID when the file cannot be read, parsed or run */
export async function readSource(file: string): Promise<Source> {
  try {
    if (extname(file) === ".json") {
      return { kind: "json", value: JSON.parse(await readFile(file, "utf8")) };
    }
    const jiti = createJiti(file, { fsCache: false, interopDefault: false });
    return { kind: "module", exports: await jiti.import<Record<string, unknown>>(file) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FederatedError("CONFIG_INVALID", `cannot load ${file}: ${reason}`, { cause: error });
  }
}

async function findConfigFile(cwd: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const name of CONFIG_FILE_NAMES) {
    const there = await access(join(cwd, name)).then(
      () => true,
      () => false,
    );
    if (there) found.push(name);
  }
  const [first, second] = found;
  if (second !== undefined) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${cwd} has ${found.join(" and ")}; keep one of them or name one with --config`,
    );
  }
  return first === undefined ? undefined : join(cwd, first);
}

function partsOf(
  file: string,
  exported: Readonly<Record<string, unknown>>,
): Omit<ConfigFile, "file"> {
  const whole = exported.default;
  const wrapped = isRecord(whole) && ("config" in whole || "evaluators" in whole);
  const config = exported.config ?? (wrapped ? whole.config : whole);
  const evaluators = exported.evaluators ?? (wrapped ? whole.evaluators : undefined) ?? {};
  if (config === undefined && exported.evaluators === undefined && !wrapped) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} exports neither \`config\` nor a default: write \`export const config = { … }\``,
    );
  }
  assertEvaluators(evaluators);
  return { config: config ?? {}, evaluators };
}

function assertEvaluators(
  value: unknown,
): asserts value is Readonly<Record<string, EvaluatorSource>> {
  const isSource = (source: unknown) =>
    typeof source === "function" || (isRecord(source) && typeof source.evaluate === "function");
  const wrong = isRecord(value)
    ? Object.keys(value).filter((name) => !isSource(value[name]))
    : [""];
  assertNoFaults(
    "the configuration",
    wrong.map((name) => ({
      path: name === "" ? "evaluators" : `evaluators.${name}`,
      message:
        name === "" ? "must be an object" : "must be an Evaluator or a function that makes one",
    })),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
