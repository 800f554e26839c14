/**
 * Ingest: an update is received, checked, clipped and added, by a real coordinator with an open round, in turns with a
 * bare node:http server that discards as many bytes and a bare WebSocket server that sums them. Those who send are
 * another process, whose time does not count.
 *
 * Measured is what a server costs that has been serving for a while. To collect all garbage before each batch, or to
 * send but a few updates, would measure the compiler: V8 drops optimized code along with what it was optimized for.
 * References have processes of their own. In the coordinator's a discard would pay, or not, as it falls, for V8 marking
 * a heap that is none of its own: 2 ms or 5 for the same bytes in the same run.
 */

import { randomFillSync } from "node:crypto";

import type { Encoding } from "@tributary/protocol";
import { encodePayload, frameUpdate } from "@tributary/protocol";

import type { DistantServer } from "./bare-servers.ts";
import { startApart } from "./bare-servers.ts";
import { mapSpread, spreadOf } from "./measure.ts";
import type { Goal, Row, Section, SectionResult, Spread } from "./section.ts";
import type { Senders } from "./senders.ts";
import { startSenders } from "./senders.ts";
import type { Batch } from "./upload-senders.ts";
import { startUploadStand } from "./upload-stand.ts";

interface Case {
  readonly name: string;
  /** Milliseconds of CPU time that it is to take at most, of a million parameters. */
  readonly goalMs?: number;
  readonly encoding: Encoding;
  readonly clippingNorm?: number;
}

const CASES: readonly Case[] = [
  { name: "float32", goalMs: 3, encoding: { kind: "float32" } },
  { name: "float32, clipped", encoding: { kind: "float32" }, clippingNorm: 1 },
  { name: "bfloat16", encoding: { kind: "bfloat16" } },
  { name: "int8", goalMs: 1, encoding: { kind: "int8" } },
  { name: "int4", encoding: { kind: "int4" } },
  {
    name: "topK 1 % of int8",
    encoding: { kind: "topK", fraction: 0.01, values: "int8", feedback: true },
  },
];

/** Enough to keep a core busy. */
const CONNECTIONS = 4;
/** In a batch. */
const UPDATES = 120;
/** Of the sum over sockets, which is slow and soon optimized. */
const MESSAGES = 15;
/** Until what serves is compiled. */
const WARM_UP_TURNS = 6;
const RUNS = 5;

/** CPU time of this process for each update, in ms. */
async function cpuMsOf(senders: Senders, batch: Omit<Batch, "connections">): Promise<number> {
  const before = process.cpuUsage();
  await senders.send({ ...batch, connections: CONNECTIONS });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / batch.uploads.length;
}

/** CPU time of the server's own process. */
async function cpuMsApart(
  senders: Senders,
  server: DistantServer,
  batch: Pick<Batch, "uploads">,
): Promise<number> {
  const before = await server.cpuMs();
  await senders.send({ ...batch, url: server.url, connections: CONNECTIONS });
  return ((await server.cpuMs()) - before) / batch.uploads.length;
}

async function run(mini: boolean): Promise<SectionResult> {
  const parameterCount = mini ? 10_000 : 1_000_000;
  const runs = mini ? 1 : RUNS;
  const warmUp = mini ? 1 : WARM_UP_TURNS;
  const updates = mini ? 20 : UPDATES;
  await using senders = await startSenders();
  await using discard = await startApart("discard");
  await using socketSum = await startApart("socketSum", parameterCount);
  await using stand = await startUploadStand({ parameterCount, clients: updates });
  const delta = new Float32Array(parameterCount).map(() => Math.random() - 0.5);
  await senders.keep("numbers", new Uint8Array(delta.buffer));
  const plain = (body: string, length = updates) =>
    Array.from({ length }, () => ({ path: "/", headers: {}, body }));

  const cases: (Case & { frame: Uint8Array })[] = [];
  for (const one of CASES) {
    const payload = encodePayload(one.encoding, delta, (target) => randomFillSync(target));
    const sent = { format: one.encoding, payload, numExamples: 1, metrics: { trainLoss: 1 } };
    const frame = frameUpdate(stand.layout, sent);
    await senders.keep(one.name, frame);
    cases.push({ ...one, frame });
  }

  const times = new Map<string, number[]>();
  const note = (name: string, ms: number) => {
    times.set(name, [...(times.get(name) ?? []), ms]);
  };
  for (let turn = 0; turn < warmUp + runs; turn++) {
    const messages = plain("numbers", Math.min(updates, MESSAGES));
    const sumMs = await cpuMsApart(senders, socketSum, { uploads: messages });
    if (turn >= warmUp) note("ws sum", sumMs);
    for (const { name, encoding, clippingNorm, frame } of cases) {
      const discardMs = await cpuMsApart(senders, discard, { uploads: plain(name) });
      await using round = await stand.openRound({
        plan: { encoding },
        ...(clippingNorm === undefined ? {} : { clippingNorm }),
      });
      const uploads = round.uploadsOf(name, frame);
      const ms = await cpuMsOf(senders, { url: stand.url, uploads });
      if (turn < warmUp) continue;
      note(`discard ${name}`, discardMs);
      note(name, ms);
    }
  }

  const row = (name: string, label: string, bytes: number, isReference: boolean): Row => {
    const ms = spreadOf(times.get(name) ?? []);
    return {
      name: label,
      ...(isReference ? { isReference } : {}),
      values: {
        "ms CPU an update": ms,
        "MB per CPU second": mapSpread(ms, (value) => bytes / 1e3 / value),
        "ns a parameter": mapSpread(ms, (value) => (value * 1e6) / parameterCount),
        ...(isReference ? {} : { "times the discard": ratioToDiscard(times, name) }),
      },
    };
  };
  const rows = cases.flatMap(({ name, frame }) => [
    row(name, `${name}: received, checked, clipped, summed`, frame.length, false),
    row(`discard ${name}`, `node:http, ${frame.length} bytes discarded`, frame.length, true),
  ]);
  return {
    rows: [...rows, row("ws sum", "ws 8, float32 summed unchecked", delta.byteLength, true)],
    goals: mini ? [] : goalsOf(cases, times),
    notes: [
      `${updates} updates of ${parameterCount} parameters over ${CONNECTIONS} connections, ${runs} times in turns with the references, after ${warmUp} turns that warm up; CPU time of all threads of the process that serves. No garbage collection is asked for: each pays for what falls due in its turn.`,
      "References have processes of their own, with next to no heap to be marked.",
      "ws without its native addon, which unmasks in plain JavaScript.",
    ],
  };
}

/** Turn by turn. */
function ratioToDiscard(times: ReadonlyMap<string, readonly number[]>, name: string): Spread {
  const discards = times.get(`discard ${name}`) ?? [];
  return spreadOf((times.get(name) ?? []).map((ms, turn) => ms / (discards[turn] as number)));
}

function goalsOf(cases: readonly Case[], times: ReadonlyMap<string, readonly number[]>): Goal[] {
  const goals = ["float32", "int8"].map((name): Goal => {
    const { median } = ratioToDiscard(times, name);
    return {
      name: `full ingest of a million parameters, ${name}, against a bare HTTP discard`,
      aim: "at most 1.3",
      measured: median,
      isReached: median <= 1.3,
    };
  });
  for (const { name, goalMs } of cases) {
    if (goalMs === undefined) continue;
    const { median } = spreadOf(times.get(name) ?? []);
    goals.push({
      name: `ingest of a million parameters, ${name}, ms of CPU`,
      aim: `at most ${goalMs}`,
      measured: median,
      isReached: median <= goalMs,
    });
  }
  return goals;
}

export const ingestSection: Section = {
  name: "ingest",
  title: "Ingest of updates",
  run,
};
