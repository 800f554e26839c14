/** The `tributary` command: its commands, its options, its exit codes. */

import { Command } from "commander";

import { VERSION } from "../version.ts";
import { addAuditCommands } from "./audit.ts";
import { addConfigCommands } from "./config.ts";
import { addExportCommands } from "./export/commands.ts";
import { EXIT, EXIT_CODES_HELP, reportFailure } from "./failure.ts";
import type { CliIo } from "./io.ts";
import { sizeOf } from "./io.ts";
import { addKeysCommands } from "./keys.ts";
import { addModelsCommands } from "./models.ts";
import { addPrivacyCommands } from "./privacy.ts";
import { addRoundsCommand } from "./rounds.ts";
import { addSimulateCommand } from "./simulate.ts";
import { addStartCommand } from "./start.ts";
import { addStoreCommands } from "./store.ts";
import { addTaskCommands } from "./task.ts";
import { addTokenCommands } from "./tokens.ts";
import { addWatchCommand } from "./watch.ts";

/**
 * Runs one command line.
 * @param argv the arguments after the program's name
 * @returns the exit code; never throws
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const program = new Command("tributary")
    .description("Federated learning: run a coordinator, steer its tasks, fetch its models.")
    .version(VERSION)
    .option("--debug", "show where an error comes from")
    // Otherwise `models download --version 3` would print the program's own.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => sizeOf(io).columns,
      getErrHelpWidth: () => sizeOf(io).columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", EXIT_CODES_HELP);
  addStartCommand(program, io);
  addSimulateCommand(program, io);
  addConfigCommands(program, io);
  addTaskCommands(program, io);
  addRoundsCommand(program, io);
  addModelsCommands(program, io);
  addKeysCommands(program, io);
  addPrivacyCommands(program, io);
  addTokenCommands(program, io);
  addWatchCommand(program, io);
  addExportCommands(program, io);
  addStoreCommands(program, io);
  addAuditCommands(program, io);
  // Wherever it stands: it is an afterthought to a command that failed.
  const debug = argv.includes("--debug");
  try {
    await program.parseAsync(
      argv.filter((argument) => argument !== "--debug"),
      { from: "user" },
    );
    return EXIT.ok;
  } catch (error) {
    return reportFailure(io, error, debug);
  }
}
