/**
 * Ingest: an update is received, checked, clipped and added, by a real coordinator with an open round, beside a bare
 * node:http server that discards as many bytes and a bare WebSocket server that sums them. The same process serves all
 * of them, in turns; those who send are another process, whose time does not count.
 */

import { randomFillSync } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import type { Encoding } from "@tributary/protocol";
import { encodePayload, frameUpdate } from "@tributary/protocol";

import { startDiscard, startSocketSum } from "./bare-servers.ts";
import { mapSpread, spreadOf } from "./measure.ts";
import type { Goal, Row, Section, SectionResult } from "./section.ts";
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
const UPDATES = 40;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** CPU time of this process for each update, in ms. */
async function cpuMsOf(senders: Senders, batch: Omit<Batch, "connections">): Promise<number> {
  // What was there before is none of this batch's.
  collectGarbage();
  const before = process.cpuUsage();
  await senders.send({ ...batch, connections: CONNECTIONS });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / batch.uploads.length;
}

async function run(mini: boolean): Promise<SectionResult> {
  const parameterCount = mini ? 10_000 : 1_000_000;
  const runs = mini ? 1 : 9;
  await using senders = await startSenders();
  await using discard = await startDiscard();
  await using socketSum = await startSocketSum(parameterCount);
  await using stand = await startUploadStand({ parameterCount, clients: UPDATES });
  const delta = new Float32Array(parameterCount).map(() => Math.random() - 0.5);
  await senders.keep("numbers", new Uint8Array(delta.buffer));
  const plain = (body: string) =>
    Array.from({ length: UPDATES }, () => ({ path: "/", headers: {}, body }));

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
  const ratios = new Map<string, number[]>();
  // The first turn warms up.
  for (let turn = 0; turn <= runs; turn++) {
    const summed = { url: socketSum.url, uploads: plain("numbers") };
    const sumMs = await cpuMsOf(senders, summed);
    if (turn > 0) note("ws sum", sumMs);
    for (const { name, encoding, clippingNorm, frame } of cases) {
      const discardMs = await cpuMsOf(senders, { url: discard.url, uploads: plain(name) });
      await using round = await stand.openRound({
        plan: { encoding },
        ...(clippingNorm === undefined ? {} : { clippingNorm }),
      });
      const uploads = round.uploadsOf(name, frame);
      const ms = await cpuMsOf(senders, { url: stand.url, uploads });
      if (turn === 0) continue;
      note(`discard ${name}`, discardMs);
      note(name, ms);
      ratios.set(name, [...(ratios.get(name) ?? []), ms / discardMs]);
    }
  }

  const row = (name: string, label: string, bytes: number, isReference: boolean): Row => {
    const ms = spreadOf(times.get(name) ?? []);
    const against = ratios.get(name);
    return {
      name: label,
      ...(isReference ? { isReference } : {}),
      values: {
        "ms CPU an update": ms,
        "MB per CPU second": mapSpread(ms, (value) => bytes / 1e3 / value),
        "ns a parameter": mapSpread(ms, (value) => (value * 1e6) / parameterCount),
        ...(against === undefined ? {} : { "times the discard": spreadOf(against) }),
      },
    };
  };
  const rows = cases.flatMap(({ name, frame }) => [
    row(name, `${name}: received, checked, clipped, summed`, frame.length, false),
    row(`discard ${name}`, `node:http, ${frame.length} bytes discarded`, frame.length, true),
  ]);
  return {
    rows: [...rows, row("ws sum", "ws 8, float32 summed unchecked", delta.byteLength, true)],
    goals: mini ? [] : goalsOf(cases, times, ratios),
    notes: [
      `${UPDATES} updates of ${parameterCount} parameters over ${CONNECTIONS} connections, ${runs} times, in turns with the references; CPU time of the process that serves, threads and the garbage of the batch itself included.`,
      "ws without its native addon, which unmasks in plain JavaScript.",
    ],
  };
}

function goalsOf(
  cases: readonly Case[],
  times: ReadonlyMap<string, readonly number[]>,
  ratios: ReadonlyMap<string, readonly number[]>,
): Goal[] {
  const goals: Goal[] = [];
  const ratio = spreadOf(ratios.get("float32") ?? []).median;
  goals.push({
    name: "full ingest of 4 MB of float32 against a bare HTTP discard",
    aim: "at most 1.3",
    measured: ratio,
    isReached: ratio <= 1.3,
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
