/** The chain of the audit log: how an entry follows the one before, and whether a row of entries does. */

import { createHash } from "node:crypto";

import type { AuditEntry, AuditHead, Digest } from "@tributary/protocol";
import { FederatedError, isDigest } from "@tributary/protocol";

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

/**
 * Follows a whole log from its first entry.
 * @param kept heads of this log that were kept elsewhere: each must still be in it
 * @returns the log's head
 * @throws FederatedError INTERNAL that names the first entry that is not as it must be
 */
export async function verifyChain(
  entries: AsyncIterable<AuditEntry>,
  kept: readonly AuditHead[] = [],
): Promise<AuditHead> {
  const broken = (message: string) => new FederatedError("INTERNAL", message);
  const assertKept = (head: AuditHead) => {
    for (const { number, hash } of kept) {
      if (number !== head.number || hash === head.hash) continue;
      throw broken(
        `the audit log was rewritten: entry ${number} has the hash ${shown(head.hash)}, the head kept elsewhere has ${shown(hash)}`,
      );
    }
  };
  let head = EMPTY_HEAD;
  assertKept(head);
  for await (const entry of entries) {
    const fault = faultOf(head, entry);
    if (fault !== undefined) {
      throw broken(`the audit log is broken at entry ${head.number + 1}: the entry there ${fault}`);
    }
    head = headOf(entry);
    assertKept(head);
  }
  const furthest = Math.max(0, ...kept.map(({ number }) => number));
  if (furthest > head.number) {
    throw broken(
      `the audit log was cut off: it ends at entry ${head.number}, the head kept elsewhere is entry ${furthest}`,
    );
  }
  return head;
}

/** A head as people keep it: `42:<hash>`. */
export const headText = ({ number, hash }: AuditHead): string => `${number}:${hash}`;

/** @throws FederatedError CONFIG_INVALID */
export function parseHead(text: string): AuditHead {
  const [, number, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (number !== undefined && isDigest(hash)) return { number: Number(number), hash };
  throw new FederatedError(
    "CONFIG_INVALID",
    `"${text.trim().slice(0, 80)}" is no head of an audit log; it looks like 42:<64 hexadecimal digits>`,
  );
}

const shown = (hash: string) => hash.slice(0, 16);

function numberIn(record: string): unknown {
  try {
    return (JSON.parse(record) as { number?: unknown }).number;
  } catch {
    return undefined;
  }
}
