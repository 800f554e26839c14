/** `tributary tokens create | list | revoke`: what lets new clients in. */

import type {
  EnrolmentTokenRequest,
  EnrolmentTokenResource,
  IssuedEnrolmentToken,
  Page,
} from "@tributary/protocol";
import { MAX_ENROLMENT_SPAN_MS, MAX_ENROLMENT_USES, routes } from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";

import type { CliIo } from "./io.ts";
import { answer, note, writeLine } from "./io.ts";
import { addPageOptions, pageQuery } from "./page.ts";
import type { PageFlags } from "./page.ts";
import type { Column } from "./table.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";

type JsonFlags = TargetFlags & { readonly json?: true };
interface CreateFlags extends JsonFlags {
  readonly uses: number;
  readonly expires: number;
  readonly label?: string;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function parseSpan(text: string): number {
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const spanMs = Number(count) * (UNITS_MS[unit] ?? Number.NaN);
  if (spanMs >= 1 && spanMs <= MAX_ENROLMENT_SPAN_MS) return spanMs;
  throw new InvalidArgumentError("write it like 30m, 12h or 7d, 366d at most");
}

function parseUses(text: string): number {
  const uses = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (uses >= 1 && uses <= MAX_ENROLMENT_USES) return uses;
  throw new InvalidArgumentError(`write an integer from 1 to ${MAX_ENROLMENT_USES}`);
}

const STATE_TEXT: Readonly<Record<EnrolmentTokenResource["state"], string>> = {
  valid: "valid",
  usedUp: "used up",
  expired: "expired",
  revoked: "revoked",
};

const COLUMNS: readonly Column<EnrolmentTokenResource>[] = [
  { title: "id", text: ({ tokenId }) => tokenId },
  { title: "state", text: ({ state }) => STATE_TEXT[state] },
  { title: "used", text: ({ used, uses }) => `${used}/${uses}`, align: "right" },
  { title: "expires", text: ({ expiresAt }) => `${expiresAt.slice(0, 16).replace("T", " ")} UTC` },
  { title: "label", text: ({ label }) => label ?? "", shrinks: true },
];

export function addTokenCommands(program: Command, io: CliIo): void {
  const tokens = program.command("tokens").description("issue, list and revoke enrolment tokens");

  addTargetOptions(
    tokens
      .command("create")
      .description("issue a token that lets new clients in; it is shown once, now")
      .option("--uses <count>", "clients that it lets in, at most", parseUses, 1)
      .addOption(
        new Option("--expires <span>", "until when: 30m, 12h, 7d; who is in stays")
          .argParser(parseSpan)
          .default(7 * 86_400_000, "7d"),
      )
      .option("--label <text>", "whom it is for")
      .option("--json", "as JSON"),
  ).action(async (flags: CreateFlags) => {
    const { uses, expires, label } = flags;
    const request: EnrolmentTokenRequest = {
      uses,
      expiresInMs: expires,
      ...(label === undefined ? {} : { label }),
    };
    const api = await connect(io, flags);
    const issued = await api.postJson<IssuedEnrolmentToken>(routes.enrolmentTokens.path(), request);
    answer(io, flags.json, issued, () => {
      writeLine(io, issued.token);
      const clients = uses === 1 ? "1 client" : `${uses} clients`;
      note(io, `for ${clients}, until ${issued.expiresAt}; keep it, it is not shown again`);
      note(io, `to revoke it: tributary tokens revoke ${issued.tokenId}`);
    });
  });

  addTargetOptions(
    addPageOptions(
      tokens
        .command("list")
        .description("all tokens, newest first: how far they are used, never the tokens")
        .option("--json", "as JSON"),
    ),
  ).action(async (flags: JsonFlags & PageFlags) => {
    const path = `${routes.enrolmentTokens.path()}${pageQuery(flags)}`;
    const page = await (await connect(io, flags)).getJson<Page<EnrolmentTokenResource>>(path);
    answer(io, flags.json, page, () => {
      writeTable(io, COLUMNS, page.items, "no tokens; issue one with `tokens create`");
      if (page.next !== undefined) note(io, `older ones: --before ${page.next}`);
    });
  });

  addTargetOptions(
    tokens
      .command("revoke")
      .description("let nobody in by this token any more; who came by it must enrol anew")
      .argument("<id>", "from `tokens list`")
      .option("--json", "as JSON"),
  ).action(async (tokenId: string, flags: JsonFlags) => {
    const path = routes.enrolmentToken.path({ tokenId });
    const revoked = await (await connect(io, flags)).deleteJson<EnrolmentTokenResource>(path);
    answer(io, flags.json, revoked, () => {
      const clients = revoked.used === 1 ? "1 client" : `${revoked.used} clients`;
      writeLine(io, `${revoked.tokenId} revoked, ${clients} had come by it`);
    });
  });
}
