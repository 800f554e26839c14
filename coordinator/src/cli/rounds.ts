/** `tributary rounds <taskId>`. */

import type { Page, RoundResource } from "@tributary/protocol";
import { parseTaskId, routes } from "@tributary/protocol";
import type { Command } from "commander";

import type { CliIo } from "./io.ts";
import { answer, note } from "./io.ts";
import { addPageOptions, pageQuery } from "./page.ts";
import type { PageFlags } from "./page.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { ROUND_COLUMNS } from "./view.ts";

export function addRoundsCommand(program: Command, io: CliIo): void {
  addTargetOptions(
    addPageOptions(
      program
        .command("rounds")
        .description("the rounds of a task, newest first")
        .argument("<taskId>")
        .option("--json", "as JSON"),
    ),
  ).action(async (id: string, flags: TargetFlags & PageFlags & { readonly json?: true }) => {
    const path = routes.rounds.path({ taskId: parseTaskId(id) });
    const api = await connect(io, flags);
    const page = await api.getJson<Page<RoundResource>>(`${path}${pageQuery(flags)}`);
    answer(io, flags.json, page, () => {
      writeTable(io, ROUND_COLUMNS, page.items, "no rounds");
      if (page.next !== undefined) note(io, `older ones: --before ${page.next}`);
    });
  });
}
