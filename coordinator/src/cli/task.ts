/** `tributary task create | list | show | pause | resume | cancel`. */

import { resolve } from "node:path";

import type { TaskResource } from "@tributary/protocol";
import { FederatedError, parseTaskId, routes } from "@tributary/protocol";
import type { Command } from "commander";

import type { Source } from "../config/config-file.ts";
import { readSource } from "../config/config-file.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import type { CliIo } from "./io.ts";
import { answer, writeLine } from "./io.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { TASK_COLUMNS, taskLines, taskStateText } from "./view.ts";
import { readWeights } from "./weights.ts";

interface TaskFlags extends TargetFlags {
  readonly json?: true;
  readonly weights?: string;
}

const COMMANDS = [
  ["pause", "let the open round finish and start no other", routes.pauseTask],
  ["resume", "go on with rounds", routes.resumeTask],
  ["cancel", "abandon the open round and end the task", routes.cancelTask],
] as const;

export function addTaskCommands(program: Command, io: CliIo): void {
  const task = program.command("task").description("create, see and steer tasks");
  const command = (name: string, description: string) =>
    addTargetOptions(task.command(name).description(description).option("--json", "as JSON"));

  command("create", "create and start a task")
    .argument("<file>", "its spec: JSON, or a module that exports `spec` or a default")
    .option("--weights <file>", "first weights: little-endian float32 in layout order")
    .action(async (file: string, flags: TaskFlags) => {
      const spec = await readSpec(resolve(io.cwd, file));
      // The coordinator checks it again; here every fault is told before anything is sent.
      resolveTaskSpec(spec);
      const weights = flags.weights;
      const bytes = weights === undefined ? undefined : await readWeights(resolve(io.cwd, weights));
      const api = await connect(io, flags);
      const created = await api.postJson<TaskResource>(routes.tasks.path(), {
        spec,
        ...(bytes === undefined ? {} : { initialWeights: bytes.toString("base64") }),
      });
      answer(io, flags.json, created, () =>
        writeLine(io, `created ${created.taskId}, ${created.layout.parameterCount} parameters`),
      );
    });

  command("list", "all tasks").action(async (flags: TaskFlags) => {
    const api = await connect(io, flags);
    const tasks = await api.getJson<{ items: TaskResource[] }>(routes.tasks.path());
    answer(io, flags.json, tasks.items, () =>
      writeTable(io, TASK_COLUMNS, tasks.items, "no tasks; create one with `task create`"),
    );
  });

  command("show", "one task in full")
    .argument("<taskId>")
    .action(async (id: string, flags: TaskFlags) => {
      const path = routes.task.path({ taskId: parseTaskId(id) });
      const shown = await (await connect(io, flags)).getJson<TaskResource>(path);
      answer(io, flags.json, shown, () => {
        for (const line of taskLines(shown)) writeLine(io, line);
      });
    });

  for (const [name, description, route] of COMMANDS) {
    command(name, description)
      .argument("<taskId>")
      .action(async (id: string, flags: TaskFlags) => {
        const path = route.path({ taskId: parseTaskId(id) });
        const changed = await (await connect(io, flags)).postJson<TaskResource>(path);
        answer(io, flags.json, changed, () =>
          writeLine(io, `${changed.taskId} ${taskStateText(changed)}`),
        );
      });
  }
}

async function readSpec(file: string): Promise<unknown> {
  return specOf(file, await readSource(file));
}

/** The task of a file. @throws FederatedError CONFIG_INVALID for a module that exports none */
export function specOf(file: string, source: Source): unknown {
  const spec =
    source.kind === "json" ? source.value : (source.exports.spec ?? source.exports.default);
  if (spec !== undefined) return spec;
  throw new FederatedError("CONFIG_INVALID", `${file} exports neither \`spec\` nor a default`);
}
