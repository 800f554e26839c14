/** Targets: ids, tokens, headers, and whatever else comes as text. */

import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";

import type { ClientId, RoundId, StreamEvent } from "@tributary/protocol";
import {
  contentDigestOf,
  FederatedError,
  parseClientId,
  parseContentDigest,
  parseDigest,
  parseRoundId,
  parseTaskId,
  roundIdOf,
} from "@tributary/protocol";
import fc from "fast-check";

import { followEvents } from "../../coordinator/src/cli/event-stream.ts";
import {
  assertNotExpired,
  createAssignmentTokens,
} from "../../coordinator/src/clients/assignment-token.ts";
import { byteRange, isUnchanged } from "../../coordinator/src/http/conditional.ts";
import { createHmacSha256 } from "../../coordinator/src/identity/hmac.ts";
import { createPeerAddress } from "../../coordinator/src/network/peer-address.ts";
import { decodeRecord, encodeRecord } from "../../coordinator/src/storage/record-json.ts";
import { damagedText, spoiltValue } from "./damage.ts";
import type { FuzzTarget } from "./target.ts";
import { accept, hold, target } from "./target.ts";

const DIGEST = "0123456789abcdef".repeat(4);
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const consistsOf = (text: string, alphabet: string) =>
  Array.from(text).every((character) => alphabet.includes(character));

function holdTaskId(id: string): void {
  hold(id.length >= 1 && id.length <= 63 && !id.startsWith("-"), "length of a task id");
  hold(consistsOf(id, `${LOWER}${DIGITS}-`), "alphabet of a task id");
}

function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece);
      controller.close();
    },
  });
}

/** Events of a stream whose bytes arrive cut at the given places. */
async function eventsOf(bytes: Uint8Array, cuts: readonly number[]): Promise<StreamEvent[]> {
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  const pieces = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
  let opened = 0;
  const stream = followEvents({
    open: async () => {
      opened += 1;
      if (opened > 1) throw new FederatedError("NOT_FOUND", "this is the end");
      return new Response(streamOf(pieces));
    },
    sleep: async () => {},
    random: () => 0,
  });
  const events: StreamEvent[] = [];
  try {
    for await (const signal of stream) if (signal.kind === "event") events.push(signal.event);
  } catch (error) {
    hold(error instanceof FederatedError, `a coded error, got ${String(error)}`);
    if (error.code !== "NOT_FOUND") events.push({ type: "refused", data: error.code });
  }
  return events;
}

export async function textTargets(): Promise<FuzzTarget[]> {
  const tokens = createAssignmentTokens(createHmacSha256(new Uint8Array(32).fill(7)));
  const now = 1_000_000;
  const claims = [
    { roundId: "small.1" as RoundId, clientId: "alice" as ClientId, expiresAt: now + 1 },
    { roundId: "small.1" as RoundId, clientId: "bob-_" as ClientId, expiresAt: now + 1 },
    { roundId: "small.2" as RoundId, clientId: "alice" as ClientId, expiresAt: now + 1 },
    { roundId: "small.1" as RoundId, clientId: "carol" as ClientId, expiresAt: now - 1 },
  ] as const;
  const signed = claims.map((claim) => tokens.sign(claim));
  const addressed = createPeerAddress({ trustedProxy: true, proxyHops: 2 });

  return [
    target(
      "ids",
      damagedText(["a", "small-task.12", "a".repeat(63), "small.999999999999999", DIGEST, "A_-9"]),
      (text) => {
        const task = accept(() => parseTaskId(text));
        if (task !== undefined) holdTaskId(task.value);
        const round = accept(() => parseRoundId(text));
        if (round !== undefined) {
          holdTaskId(round.value.taskId);
          hold(Number.isSafeInteger(round.value.roundNumber), "a round number");
          hold(roundIdOf(round.value.taskId, round.value.roundNumber) === text, "one text, one id");
        }
        const digest = accept(() => parseDigest(text));
        if (digest !== undefined) {
          hold(text.length === 64 && consistsOf(text, `${DIGITS}abcdef`), "a digest");
        }
        const client = accept(() => parseClientId(text));
        if (client !== undefined) {
          hold(text.length > 0 && text.length <= 64, "length of a client id");
          hold(consistsOf(text, `${LOWER}${LOWER.toUpperCase()}${DIGITS}_-`), "a client id");
        }
        return [task, round, digest, client].some((id) => id !== undefined);
      },
      { share: 6 },
    ),
    target(
      "assignment token",
      fc.record({
        token: damagedText(signed),
        roundId: fc.constantFrom("small.1" as RoundId, "small.2" as RoundId, "other.1" as RoundId),
      }),
      ({ token, roundId }) => {
        const admitted = accept(() => {
          const admitted = tokens.verify(token, roundId);
          assertNotExpired(admitted, now);
          return admitted.clientId;
        });
        if (admitted === undefined) return false;
        const claim = claims.find(
          (one) => one.clientId === admitted.value && one.roundId === roundId,
        );
        hold(claim !== undefined && claim.expiresAt > now, "admitted what was signed, in its time");
        return true;
      },
      { share: 1 },
    ),
    target(
      "ranges and tags",
      fc.record({
        range: damagedText(["bytes=0-", "bytes=5-9", "bytes=-3", "bytes=0-0,2-3", "bytes=99-100"]),
        ifRange: fc.option(damagedText(['"tag"', 'W/"tag"'])),
        ifNoneMatch: fc.option(damagedText(['"a", "tag"', "*", 'W/"tag"'])),
        length: fc.nat(20),
      }),
      ({ range, ifRange, ifNoneMatch, length }) => {
        const headers = {
          range,
          ...(ifRange === null ? {} : { "if-range": ifRange }),
          ...(ifNoneMatch === null ? {} : { "if-none-match": ifNoneMatch }),
        };
        if (isUnchanged(headers, '"tag"')) {
          hold(ifNoneMatch?.includes('"tag"') === true || ifNoneMatch?.trim() === "*", "unchanged");
        }
        const part = byteRange(headers, '"tag"', length);
        if (part === undefined) return false;
        hold(part.start >= 0 && part.start < part.end && part.end <= length, "a part of the whole");
        hold(Number.isInteger(part.start) && Number.isInteger(part.end), "whole bytes");
        return true;
      },
      { share: 4 },
    ),
    target(
      "content digest",
      damagedText([
        `sha-256=:${btoa("x".repeat(32))}:`,
        `md5=:AAAA:, sha-256=:${btoa("\u00ff".repeat(32))}:`,
        "sha-512=:AAAA:",
        `tributary-128=:${btoa("y".repeat(16))}:`,
        `sha-256=:${btoa("x".repeat(32))}:, tributary-128=:${btoa("\u00fe".repeat(16))}:`,
      ]),
      (text) => {
        const { sha256, checksum } = accept(() => parseContentDigest(text))?.value ?? {};
        if (sha256 === undefined && checksum === undefined) return false;
        for (const one of [{ sha256 }, { checksum }]) {
          const [, base64 = ""] = /:([^:]*):$/.exec(contentDigestOf(one)) ?? [];
          // The last character has bits that mean nothing.
          hold(text.includes(base64.replace(/.=*$/, "")), "the digest that was written");
        }
        return true;
      },
      { share: 2 },
    ),
    target(
      "forwarded address",
      damagedText([
        "203.0.113.9, 10.0.0.1",
        "[2001:db8::1]:80, ::ffff:10.0.0.1",
        "evil, 198.51.100.7:99, fe80::1%eth0",
        "unknown,,",
      ]),
      (text) => {
        const address = (written: string) =>
          addressed({
            headers: { "x-forwarded-for": written },
            socket: { remoteAddress: "127.0.0.1" },
          });
        const found = address(text);
        hold(isIP(found) !== 0 && !found.includes("%"), `an address, got ${found}`);
        if (text.split(",").length >= 2) {
          hold(address(`192.0.2.1, ${text}`) === found, "nothing a client adds changes it");
        }
        return found !== "127.0.0.1";
      },
      { share: 2 },
    ),
    target(
      "stored record",
      fc.oneof(
        spoiltValue([{ a: [1, Number.NaN, -0, Infinity], b: { c: "x", d: -Infinity } }]).map(
          encodeRecord,
        ),
        damagedText([encodeRecord({ a: [1, Number.NaN, -0], b: { c: Infinity } })]),
      ),
      (text) => {
        let record: unknown;
        try {
          record = decodeRecord(text);
        } catch (error) {
          hold(error instanceof SyntaxError, `a SyntaxError, got ${String(error)}`);
          return false;
        }
        hold(isDeepStrictEqual(decodeRecord(encodeRecord(record)), record), "a record is kept");
        return true;
      },
      { share: 3 },
    ),
    target(
      "event stream",
      fc.record({
        text: damagedText([
          'id: 1\nevent: a\ndata: {"x":1}\n\n: comment\n\ndata: two\ndata: lines\n\n',
          "\r\nid:7\r\ndata:x\r\rdata\r\n\r\nevent: b\ndata: y\n\n",
        ]),
        cuts: fc.array(fc.nat(200), { maxLength: 4 }),
      }),
      async ({ text, cuts }) => {
        const bytes = Buffer.from(text);
        const whole = await eventsOf(bytes, []);
        hold(isDeepStrictEqual(await eventsOf(bytes, cuts), whole), "cuts change nothing");
        return whole.length > 0;
      },
      { share: 0.5 },
    ),
  ];
}
