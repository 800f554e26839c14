/** The options that every command shares which reads the configuration. */

import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";

import type { ConfigSources, FlagSetting } from "../config/load.ts";
import type { CliIo } from "./io.ts";

export interface ConfigFlags {
  readonly config?: string;
  readonly set?: readonly FlagSetting[];
  readonly host?: string;
  readonly port?: string;
  readonly data?: string;
  readonly memory?: true;
  readonly logLevel?: string;
}

/** Short flags for the settings that are changed most. */
const NAMED = [
  ["host", "--host", "server.host"],
  ["port", "--port", "server.port"],
  ["data", "--data", "storage.directory"],
  ["logLevel", "--log-level", "log.level"],
] as const;

function parseSet(text: string, earlier: readonly FlagSetting[] = []): FlagSetting[] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("write it like server.port=9000");
  const path = text.slice(0, equals);
  return [...earlier, { path, text: text.slice(equals + 1), flag: `--set ${path}` }];
}

export const addConfigOptions = (command: Command): Command =>
  command
    .option("--config <file>", "config file (default: tributary.config.{ts,mts,js,mjs,json})")
    .option("--set <path=value>", "set one setting; may be repeated", parseSet)
    .option("--host <host>", "server.host")
    .option("--port <port>", "server.port")
    .option("--data <directory>", "keep everything in this directory")
    .addOption(new Option("--memory", "keep everything in memory only").conflicts("data"))
    .option("--log-level <level>", "debug, info, warn, error or silent");

export function configSources(io: CliIo, flags: ConfigFlags): ConfigSources {
  const named = NAMED.flatMap(([name, flag, path]) => {
    const text = flags[name];
    return text === undefined ? [] : [{ path, text, flag }];
  });
  const kind = (text: string, flag: string) => ({ path: "storage.kind", text, flag });
  return {
    cwd: io.cwd,
    env: io.env,
    ...(flags.config === undefined ? {} : { configFile: flags.config }),
    flags: [
      ...(flags.memory === true ? [kind("memory", "--memory")] : []),
      ...(flags.data === undefined ? [] : [kind("sqlite", "--data")]),
      ...named,
      ...(flags.set ?? []),
    ],
  };
}
