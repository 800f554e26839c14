/** `tributary export tensorboard | csv`: the history of tasks for tools that people have already. */

import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";

import type { TaskId, TaskResource } from "@tributary/protocol";
import { FederatedError, parseTaskId, routes } from "@tributary/protocol";
import type { Command } from "commander";

import type { CliIo } from "../io.ts";
import { note, writeLine } from "../io.ts";
import type { TargetFlags } from "../target.ts";
import { addTargetOptions, connect } from "../target.ts";
import { roundsCsv } from "./csv.ts";
import type { EndedRound } from "./history.ts";
import { holdsCounts, readHistory } from "./history.ts";
import { eventFileName, taskEvents } from "./tensorboard.ts";
import { unwritable, writeAside } from "./write-aside.ts";

interface ExportFlags extends TargetFlags {
  readonly out: string;
}

const STDOUT = "-";

export function addExportCommands(program: Command, io: CliIo): void {
  const exports = program
    .command("export")
    .description("write the rounds of tasks for TensorBoard, spreadsheets and data frames");

  addTargetOptions(
    exports
      .command("tensorboard")
      .description("event files for TensorBoard, one run for each task, all rounds that have ended")
      .argument("<taskId...>")
      .requiredOption(
        "--out <directory>",
        "folder for `tensorboard --logdir`; each task has its own in it",
      ),
  ).action(async (ids: string[], flags: ExportFlags) => exportTensorboard(io, ids, flags));

  addTargetOptions(
    exports
      .command("csv")
      .description("one row for each round that has ended, oldest first, with a header")
      .argument("<taskId>")
      .option("--out <file>", "where to; - is standard output", STDOUT),
  ).action(async (id: string, flags: ExportFlags) => exportCsv(io, id, flags));
}

async function exportTensorboard(io: CliIo, ids: readonly string[], flags: ExportFlags) {
  const taskIds = [...new Set(ids.map(parseTaskId))];
  const api = await connect(io, flags);
  const taskOf = (taskId: TaskId) => api.getJson<TaskResource>(routes.task.path({ taskId }));
  // A name that is wrong is told before anything is written.
  const tasks: TaskResource[] = [];
  for (const taskId of taskIds) tasks.push(await taskOf(taskId));
  for (const task of tasks) {
    const rounds = await readHistory(api, task.taskId);
    const run = resolve(io.cwd, flags.out, task.taskId);
    await makeRun(run, eventFileName(task));
    const file = join(run, eventFileName(task));
    await writeAside(file, taskEvents(task, rounds));
    tell(io, task.taskId, rounds);
    warnOfCounts(io, task, rounds);
    writeLine(io, file);
  }
}

/**
 * The folder of a run, which is no other run's: TensorBoard would draw both as one curve.
 * @throws FederatedError CONFIG_INVALID
 */
async function makeRun(run: string, fileName: string): Promise<void> {
  let names: string[];
  try {
    await mkdir(run, { recursive: true });
    names = await readdir(run);
  } catch (error) {
    throw unwritable(run, error);
  }
  const stranger = names.find((name) => name.includes("tfevents") && name !== fileName);
  if (stranger === undefined) return;
  const advice = "write to another folder, or take it away";
  throw new FederatedError("CONFIG_INVALID", `${run} holds ${stranger} of another run; ${advice}`);
}

async function exportCsv(io: CliIo, id: string, flags: ExportFlags): Promise<void> {
  const taskId = parseTaskId(id);
  const api = await connect(io, flags);
  const task = await api.getJson<TaskResource>(routes.task.path({ taskId }));
  const rounds = await readHistory(api, taskId);
  const text = roundsCsv(rounds);
  if (flags.out === STDOUT) {
    io.stdout.write(text);
    warnOfCounts(io, task, rounds);
    return;
  }
  const file = resolve(io.cwd, flags.out);
  await writeAside(file, text);
  tell(io, taskId, rounds);
  warnOfCounts(io, task, rounds);
  writeLine(io, file);
}

function tell(io: CliIo, taskId: TaskId, rounds: readonly EndedRound[]): void {
  const [first, last] = [rounds.at(0), rounds.at(-1)];
  if (first === undefined || last === undefined) {
    note(io, `${taskId}: no round has ended yet`);
  } else {
    note(
      io,
      `${taskId}: rounds ${first.roundNumber} to ${last.roundNumber}, ${rounds.length} in all`,
    );
  }
}

/** A file is passed on more lightly than a token. */
function warnOfCounts(io: CliIo, { taskId, spec }: TaskResource, rounds: readonly EndedRound[]) {
  if (spec.privacy.mechanism === "none" || !holdsCounts(rounds)) return;
  const others = "for others export it with the viewer token";
  note(
    io,
    `warning: ${taskId} is private, and this holds counts that are its operator's alone; ${others}`,
  );
}
