/** `tributary config check | print`. */

import type { Command } from "commander";

import { loadConfig } from "../config/load.ts";
import { printConfig, printedSettings } from "../config/print.ts";
import type { ConfigFlags } from "./config-options.ts";
import { addConfigOptions, configSources } from "./config-options.ts";
import type { CliIo } from "./io.ts";
import { answer, writeLine } from "./io.ts";

export function addConfigCommands(program: Command, io: CliIo): void {
  const config = program.command("config").description("check or print the configuration");

  addConfigOptions(
    config.command("check").description("read the whole configuration and tell every fault"),
  ).action(async (flags: ConfigFlags) => {
    const { config: checked } = await loadConfig(configSources(io, flags));
    const tasks = checked.tasks.length === 1 ? "1 task" : `${checked.tasks.length} tasks`;
    writeLine(io, `the configuration is valid, ${tasks}`);
  });

  addConfigOptions(
    config
      .command("print")
      .description("print every setting with where its value comes from")
      .option("--json", "as JSON"),
  ).action(async (flags: ConfigFlags & { readonly json?: true }) => {
    const loaded = await loadConfig(configSources(io, flags));
    answer(io, flags.json, printedSettings(loaded), () => io.stdout.write(printConfig(loaded)));
  });
}
