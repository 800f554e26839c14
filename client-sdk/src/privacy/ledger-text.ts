/** The client's ledger as text: a digest of the rest, and JSON. Read whole and sound, or refused. */

import { isTaskId, sha256 } from "@tributary/protocol";

import type { Participations, TaskAccount } from "./account.ts";

const FORMAT = 1;

export async function encodeLedger(accounts: readonly TaskAccount[]): Promise<string> {
  const body = JSON.stringify({ format: FORMAT, accounts });
  return `${await digestOf(body)}\n${body}\n`;
}

/** @returns undefined for anything that `encodeLedger` did not make */
export async function decodeLedger(text: string): Promise<readonly TaskAccount[] | undefined> {
  const [digest, body, end, ...rest] = text.split("\n");
  if (body === undefined || end !== "" || rest.length > 0) return undefined;
  if (digest !== (await digestOf(body))) return undefined;
  try {
    const { format, accounts } = JSON.parse(body) as { format: unknown; accounts: unknown };
    if (format !== FORMAT || !Array.isArray(accounts)) return undefined;
    return accounts.every(isAccount) ? accounts : undefined;
  } catch {
    return undefined;
  }
}

const digestOf = (body: string) => sha256(new TextEncoder().encode(body));

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const isPositive = (value: unknown) => Number.isFinite(value) && Number(value) > 0;

function isAccount(value: unknown): value is TaskAccount {
  const { origin, taskId, updates, muSquared, limit, participations } = value as TaskAccount;
  return (
    typeof origin === "string" &&
    isTaskId(taskId) &&
    isCount(updates) &&
    Number.isFinite(muSquared) &&
    muSquared >= 0 &&
    (limit === undefined || (isPositive(limit.delta) && isPositive(limit.maxEpsilon))) &&
    (participations === undefined || isParticipations(participations))
  );
}

const isParticipations = (value: Participations) =>
  [value.minSeparation, value.maxParticipations, value.count, value.lastStep].every(isCount);
