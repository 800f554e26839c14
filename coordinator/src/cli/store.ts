/** `tributary store verify | backup | restore`: the data itself, checked, copied and taken back. */

import { resolve } from "node:path";

import type { BackupResource } from "@tributary/protocol";
import { FederatedError, routes } from "@tributary/protocol";
import type { Command } from "commander";

import { loadConfig } from "../config/load.ts";
import { createKeyRing } from "../storage/seal.ts";
import { restoreBackup } from "../storage/restore.ts";
import type { StoreReport } from "../storage/verify.ts";
import { verifyStore } from "../storage/verify.ts";
import type { ConfigFlags } from "./config-options.ts";
import { addConfigOptions, configSources } from "./config-options.ts";
import type { CliIo } from "./io.ts";
import { answer, note, painter, writeLine } from "./io.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";

interface VerifyFlags extends ConfigFlags {
  readonly directory?: string;
  readonly json?: true;
  readonly removeOrphans?: true;
}
interface BackupFlags extends TargetFlags {
  readonly json?: true;
}
interface RestoreFlags extends ConfigFlags {
  readonly acceptOlderLedger?: true;
}

export function addStoreCommands(program: Command, io: CliIo): void {
  const store = program.command("store").description("check, copy and take back all data");

  addConfigOptions(
    store
      .command("verify")
      .description("check every record, digest, charge and chain; changes nothing")
      .option("--directory <directory>", "a backup, or data that the configuration does not name")
      .option("--remove-orphans", "delete files that nothing refers to, if there is no fault")
      .option("--json", "as JSON"),
  ).action(async (flags: VerifyFlags) => verify(io, flags));

  addTargetOptions(
    store
      .command("backup")
      .description("let the running coordinator copy everything below storage.backupDirectory")
      .argument("<name>", "name of the copy: a folder, not a path")
      .option("--json", "as JSON"),
  ).action(async (name: string, flags: BackupFlags) => backup(io, name, flags));

  addConfigOptions(
    store
      .command("restore")
      .description("make a backup the data of a coordinator that has none")
      .argument("<backup>", "directory of the backup")
      .option(
        "--accept-older-ledger",
        "private tasks go on: nothing was released after the backup was taken",
      ),
  ).action(async (from: string, flags: RestoreFlags) => restore(io, from, flags));
}

/** Where the data is, and the keys that open it. */
async function dataOf(io: CliIo, flags: ConfigFlags) {
  const { config } = await loadConfig(configSources(io, flags));
  if (config.storage.kind === "sqlite") {
    const keys = createKeyRing(config.storage);
    return { directory: config.storage.directory, keys: keys === undefined ? {} : { keys } };
  }
  const message = "storage.kind is memory: there is no data on disk; name a directory";
  throw new FederatedError("CONFIG_INVALID", message);
}

async function verify(io: CliIo, flags: VerifyFlags): Promise<void> {
  const { directory, removeOrphans = false } = flags;
  const data = await dataOf(io, flags);
  const at = directory === undefined ? data.directory : resolve(io.cwd, directory);
  const report = await verifyStore(at, { removeOrphans, ...data.keys });
  answer(io, flags.json, report, () => printReport(io, report, removeOrphans));
  const { faults } = report;
  if (faults.length === 0) return;
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  throw new FederatedError("INTERNAL", `${at} is damaged: ${count}`);
}

function printReport(io: CliIo, report: StoreReport, removed: boolean): void {
  const paint = painter(io);
  const { checked, faults, orphans, backupTakenAt, privateTasks } = report;
  for (const [what, count] of Object.entries(checked)) {
    writeLine(io, `${String(count).padStart(8)}  ${WORDS[what as keyof typeof WORDS]}`);
  }
  for (const { where, message } of faults)
    writeLine(io, `${paint("red", "fault")}  ${where} ${message}`);
  if (orphans.length > 0) {
    const fate =
      removed && faults.length === 0
        ? "were deleted"
        : "harm nobody; --remove-orphans deletes them";
    note(io, `${orphans.length} files that nothing refers to ${fate}`);
  }
  if (backupTakenAt !== undefined) {
    note(io, `a backup of ${backupTakenAt}; \`tributary store restore\` takes it back`);
    if (privateTasks.length > 0) {
      note(io, `its privacy ledger does not know what ${privateTasks.join(", ")} released since`);
    }
  }
  if (faults.length === 0) writeLine(io, paint("green", "everything is as it must be"));
}

const WORDS: Readonly<Record<keyof StoreReport["checked"], string>> = {
  tasks: "tasks",
  rounds: "rounds",
  modelVersions: "model versions",
  charges: "privacy charges",
  auditEntries: "audit entries",
  blobs: "checkpoints and optimizer states",
};

async function backup(io: CliIo, name: string, flags: BackupFlags): Promise<void> {
  const api = await connect(io, flags);
  const made = await api.postJson<BackupResource>(routes.backups.path(), { name });
  answer(io, flags.json, made, () => {
    const megabytes = ((made.databaseBytes + made.blobBytes) / 1e6).toFixed(1);
    const seconds = (made.durationMs / 1000).toFixed(1);
    writeLine(
      io,
      `${made.name}: ${made.blobs} blobs, ${megabytes} MB in ${seconds} s, of ${made.takenAt}`,
    );
  });
  if (made.damaged.length === 0) return;
  throw new FederatedError(
    "CHECKPOINT_CORRUPT",
    `the backup lacks ${made.damaged.length} blobs that are damaged or missing in the store itself: ${made.damaged.join(", ")}`,
  );
}

async function restore(io: CliIo, from: string, flags: RestoreFlags): Promise<void> {
  const { directory: to, keys } = await dataOf(io, flags);
  const logger = { warn: (_fields: object, message: string) => note(io, message) };
  const report = await restoreBackup(
    { from: resolve(io.cwd, from), to, logger },
    { acceptOlderLedger: flags.acceptOlderLedger ?? false, ...keys },
  );
  writeLine(
    io,
    `restored ${report.checked.tasks} tasks into ${to}, as of ${report.backupTakenAt ?? "?"}`,
  );
}
