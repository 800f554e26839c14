/** `tributary keys list | rotate`. */

import type { KeyRecord, KeysResource } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { Command } from "commander";

import type { CliIo } from "./io.ts";
import { answer, note, writeLine } from "./io.ts";
import type { Column } from "./table.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";

interface KeysFlags extends TargetFlags {
  readonly json?: true;
}

/** Newest first: the first line is the key to pin. */
const KEY_COLUMNS: readonly Column<KeyRecord & { readonly inForce: boolean }>[] = [
  { title: "key", text: ({ publicKey }) => publicKey },
  { title: "created", text: ({ createdAt }) => createdAt.slice(0, 16).replace("T", " ") },
  { title: "state", text: ({ inForce }) => (inForce ? "signs" : "replaced") },
];

export function addKeysCommands(program: Command, io: CliIo): void {
  const keys = program.command("keys").description("the keys that models are signed with");
  const command = (name: string, description: string) =>
    addTargetOptions(keys.command(name).description(description).option("--json", "as JSON"));

  command("list", "all keys, newest first; apps pin the one that signs").action(
    async (flags: KeysFlags) => {
      const chain = await (await connect(io, flags)).getJson<KeysResource>(routes.keys.path());
      answer(io, flags.json, chain, () => {
        const last = chain.keys.length - 1;
        const rows = chain.keys.map((key, i) => ({ ...key, inForce: i === last })).reverse();
        writeTable(io, KEY_COLUMNS, rows, "no keys");
      });
    },
  );

  command("rotate", "make a new key, signed by the present one, which is then forgotten").action(
    async (flags: KeysFlags) => {
      const api = await connect(io, flags);
      const record = await api.postJson<KeyRecord>(routes.rotateKeys.path());
      note(io, "clients that trust the former key follow by themselves; pin this one in new apps");
      answer(io, flags.json, record, () => writeLine(io, record.publicKey));
    },
  );
}
