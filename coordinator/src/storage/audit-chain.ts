/** The chain of the audit log: how an entry follows the one before, and whether a row of entries does. */

import { createHash } from "node:crypto";

import type { AuditEntry, AuditHead, Digest } from "@tributary/protocol";

import type { AuditFact, Instant } from "../ports.ts";

/** Keeps these hashes apart from every other in the system, and from another format's. */
const DOMAIN = "tributary audit 1";

/** What the first entry follows, and what is told of an empty log. */
export const EMPTY_HEAD: AuditHead = { number: 0, hash: "0".repeat(64) as Digest };

export const headOf = (entry: AuditEntry | undefined): AuditHead =>
  entry === undefined ? EMPTY_HEAD : { number: entry.number, hash: entry.hash };

export function nextEntry(
  head: AuditHead,
  { kind, actor, facts }: AuditFact,
  at: Instant,
): AuditEntry {
  const number = head.number + 1;
  const record = JSON.stringify({ number, at: new Date(at).toISOString(), kind, actor, facts });
  return { number, previous: head.hash, record, hash: hashOf(head.hash, record) };
}

const hashOf = (previous: Digest, record: string): Digest =>
  createHash("sha256").update(`${DOMAIN}\n${previous}\n${record}`).digest("hex") as Digest;

/** What is wrong with `entry` as the one after `head`; undefined when it is right. */
export function faultOf(head: AuditHead, entry: AuditEntry): string | undefined {
  const expected = head.number + 1;
  if (entry.number !== expected) {
    return `is numbered ${entry.number} where ${expected} must come: entries are missing or were put in`;
  }
  if (entry.previous !== head.hash) {
    return `follows ${shown(entry.previous)}, the entry before it has the hash ${shown(head.hash)}: one of the two was changed`;
  }
  const hash = hashOf(entry.previous, entry.record);
  if (entry.hash !== hash) {
    return `has the hash ${shown(entry.hash)}, its text gives ${shown(hash)}: it was changed`;
  }
  if (numberIn(entry.record) !== expected) {
    return `says in its text that its number is another: it was changed`;
  }
  return undefined;
}

const shown = (hash: string) => hash.slice(0, 16);

function numberIn(record: string): unknown {
  try {
    return (JSON.parse(record) as { number?: unknown }).number;
  } catch {
    return undefined;
  }
}
