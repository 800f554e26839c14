/** `tributary audit verify|list`: what was done with a coordinator, and whether all of it is still told. */

import { readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";

import type { AuditEntry, AuditHead, AuditPage } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { Command } from "commander";

import { openAuditFile } from "../storage/audit-file.ts";
import { headText, parseHead, verifyChain } from "../storage/audit-chain.ts";
import { STORE_FILE } from "../storage/directory.ts";
import type { CliIo } from "./io.ts";
import { answer, note, writeLine } from "./io.ts";
import { parseCount } from "./page.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { AUDIT_COLUMNS } from "./view.ts";

interface AuditFlags extends TargetFlags {
  readonly directory?: string;
  readonly json?: true;
}
interface VerifyFlags extends AuditFlags {
  readonly head?: AuditHead;
  readonly headFile?: string;
}
interface ListFlags extends AuditFlags {
  readonly after?: number;
  readonly limit: number;
}

export function addAuditCommands(program: Command, io: CliIo): void {
  const audit = program.command("audit").description("the log of everything that was done");
  const command = (name: string, description: string) =>
    addTargetOptions(
      audit
        .command(name)
        .description(description)
        .option("--directory <directory>", "read a stopped coordinator's data or a backup of it")
        .option("--json", "as JSON"),
    );

  command("verify", "follow the chain of the whole log; fails at the first entry that is wrong")
    .option(
      "--head <number:hash>",
      "a head that was kept elsewhere: finds what was cut off",
      parseHead,
    )
    .option("--head-file <file>", "the same, kept in a file; a verified log's head replaces it")
    .action(async (flags: VerifyFlags) => verify(io, flags));

  command("list", "entries, oldest first")
    .option("--limit <count>", `how many, at most ${PAGE}`, parseCount(PAGE), 50)
    .option("--after <number>", "only later ones", parseCount(Number.MAX_SAFE_INTEGER))
    .action(async (flags: ListFlags) => list(io, flags));
}

/** As many as the API gives at once. */
const PAGE = 1000;

async function verify(io: CliIo, flags: VerifyFlags): Promise<void> {
  const file = flags.headFile === undefined ? undefined : resolve(io.cwd, flags.headFile);
  const stored = file === undefined ? undefined : await readHead(file);
  const kept = [flags.head, stored].filter((head) => head !== undefined);
  await using source = await openSource(io, flags);
  const head = await verifyChain(entriesOf(source), kept);
  if (file !== undefined) await writeHead(file, head);
  answer(io, flags.json, head, () => {
    writeLine(io, `${head.number} entries, unbroken; head ${headText(head)}`);
    if (kept.length === 0) {
      note(
        io,
        "keep the head elsewhere: only against it can a log be seen to be cut off or rewritten",
      );
    }
  });
}

async function list(io: CliIo, flags: ListFlags): Promise<void> {
  await using source = await openSource(io, flags);
  const items = await source.read({ after: flags.after, limit: flags.limit });
  answer(io, flags.json, items, () => {
    writeTable(io, AUDIT_COLUMNS, items, "no entries");
    if (items.length === flags.limit) note(io, `later ones: --after ${items.at(-1)?.number ?? 0}`);
  });
}

interface AuditSource extends AsyncDisposable {
  read(page: { after: number | undefined; limit: number }): Promise<readonly AuditEntry[]>;
}

async function openSource(io: CliIo, flags: AuditFlags): Promise<AuditSource> {
  if (flags.directory !== undefined) {
    const log = await openAuditFile(join(resolve(io.cwd, flags.directory), STORE_FILE));
    return {
      read: ({ after, limit }) => log.list({ ...(after === undefined ? {} : { after }), limit }),
      [Symbol.asyncDispose]: async () => log.close(),
    };
  }
  const api = await connect(io, flags);
  return {
    read: async ({ after, limit }) => {
      const from = after === undefined ? "" : `&after=${after}`;
      const path = `${routes.audit.path()}?limit=${limit}${from}`;
      return (await api.getJson<AuditPage>(path)).items;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* entriesOf(source: AuditSource): AsyncGenerator<AuditEntry> {
  let after: number | undefined;
  for (;;) {
    const items = await source.read({ after, limit: PAGE });
    yield* items;
    const last = items.at(-1);
    if (last === undefined || items.length < PAGE) return;
    after = last.number;
  }
}

async function readHead(file: string): Promise<AuditHead | undefined> {
  try {
    return parseHead(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all: half a head would be worth nothing. */
async function writeHead(file: string, head: AuditHead): Promise<void> {
  await writeFile(`${file}.new`, `${headText(head)}\n`);
  await rename(`${file}.new`, file);
}
