/**
 * Ingest: an update is received, checked, clipped and added, by a real coordinator with an open round, in turns with a
 * bare node:http server that discards as many bytes, one that keeps them, and a bare WebSocket server that sums them.
 * Those who send are another process, whose time does not count.
 *
 * Measured is what a server costs that has been serving for a while. To collect all garbage before each batch, or to
 * send but a few updates, would measure the compiler, and the rounds that are opened in between.
 */

import { randomFillSync } from "node:crypto";

import type { Encoding } from "@tributary/protocol";
import { encodePayload, frameUpdate } from "@tributary/protocol";

import type { Times } from "./measure.ts";
import { mapSpread, spreadOf } from "./measure.ts";
import type { Goal, Row, Section, SectionResult, Spread } from "./section.ts";
import type { Senders } from "./senders.ts";
import { startSenders } from "./senders.ts";
import type { Server } from "./servers/server.ts";
import { startBareBodies, startBareSum } from "./servers/server.ts";
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

/** Bodies of this case are also kept by a bare server. */
const KEPT = "float32";
/** Enough to keep a core busy. */
const CONNECTIONS = 4;
/** In a batch. */
const UPDATES = 480;
/** Of the sum over sockets, which is slow and soon optimized. */
const MESSAGES = 15;
/** Until what serves is compiled. */
const WARM_UP_TURNS = 6;
const RUNS = 5;

/** For each upload: CPU time of the server's process, all threads of it, and how long it took, with those who send. */
async function timesOf(
  senders: Senders,
  server: Server,
  uploads: Batch["uploads"],
): Promise<Times> {
  const before = await server.vitals();
  await senders.send({ url: server.url, connections: CONNECTIONS, uploads });
  const after = await server.vitals();
  return {
    wallMs: (after.wallMs - before.wallMs) / uploads.length,
    cpuMs: (after.cpuMs - before.cpuMs) / uploads.length,
  };
}

async function run(mini: boolean): Promise<SectionResult> {
  const parameterCount = mini ? 10_000 : 1_000_000;
  const runs = mini ? 1 : RUNS;
  const warmUp = mini ? 1 : WARM_UP_TURNS;
  const updates = mini ? 20 : UPDATES;
  await using senders = await startSenders();
  await using discard = await startBareBodies("discard");
  await using keep = await startBareBodies("keep");
  await using socketSum = await startBareSum(parameterCount);
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

  const times = new Map<string, Times[]>();
  for (let turn = 0; turn < warmUp + runs; turn++) {
    const measure = async (name: string, server: Server, uploads: Batch["uploads"]) => {
      const taken = await timesOf(senders, server, uploads);
      if (turn >= warmUp) times.set(name, [...(times.get(name) ?? []), taken]);
    };
    await measure("ws sum", socketSum, plain("numbers", Math.min(updates, MESSAGES)));
    for (const { name, encoding, clippingNorm, frame } of cases) {
      await measure(`discard ${name}`, discard, plain(name));
      if (name === KEPT) await measure("keep", keep, plain(name));
      await using round = await stand.openRound({
        plan: { encoding },
        ...(clippingNorm === undefined ? {} : { clippingNorm }),
      });
      await measure(name, stand.server, round.uploadsOf(name, frame));
    }
  }

  const row = (name: string, label: string, bytes: number, against?: string): Row => {
    const ms = spreadOf(cpuMsOf(times, name));
    return {
      name: label,
      isReference: !cases.some((one) => one.name === name),
      values: {
        "ms CPU an update": ms,
        ms: spreadOf((times.get(name) ?? []).map(({ wallMs }) => wallMs)),
        "MB per CPU second": mapSpread(ms, (value) => bytes / 1e3 / value),
        "ns a parameter": mapSpread(ms, (value) => (value * 1e6) / parameterCount),
        ...(against === undefined ? {} : { "times the discard": ratio(times, name, against) }),
      },
    };
  };
  const rows = cases.flatMap(({ name, frame: { length } }) => [
    row(name, `${name}: received, checked, clipped, summed`, length, `discard ${name}`),
    ...(name === KEPT
      ? [
          row(
            "keep",
            `node:http, ${length} bytes copied to where they stay`,
            length,
            `discard ${name}`,
          ),
        ]
      : []),
    row(`discard ${name}`, `node:http, ${length} bytes discarded`, length),
  ]);
  return {
    rows: [...rows, row("ws sum", "ws 8, float32 summed unchecked", delta.byteLength)],
    goals: mini ? [] : goalsOf(cases, times),
    notes: [
      `${updates} updates of ${parameterCount} parameters over ${CONNECTIONS} connections, ${runs} times in turns with the references, after ${warmUp} turns that warm up; CPU time of all threads of the process that serves. No garbage collection is asked for: each pays for what falls due in its turn.`,
      "Each server is a process of its own, built, as node runs it.",
      "ws without its native addon, which unmasks in plain JavaScript.",
    ],
  };
}

type Measured = ReadonlyMap<string, readonly Times[]>;

const cpuMsOf = (times: Measured, name: string): readonly number[] =>
  (times.get(name) ?? []).map(({ cpuMs }) => cpuMs);

/** Turn by turn. */
function ratio(times: Measured, name: string, to: string): Spread {
  const others = cpuMsOf(times, to);
  return spreadOf(cpuMsOf(times, name).map((ms, turn) => ms / (others[turn] as number)));
}

function goalsOf(cases: readonly Case[], times: Measured): Goal[] {
  const { median: overDiscard } = ratio(times, "float32", "discard float32");
  const goals: Goal[] = [
    {
      name: "full ingest of a million parameters, float32, 4 MB, against a bare HTTP discard",
      aim: "at most 1.3",
      measured: overDiscard,
      isReached: overDiscard <= 1.3,
    },
  ];
  for (const { name, goalMs } of cases) {
    if (goalMs === undefined) continue;
    const { median } = spreadOf(cpuMsOf(times, name));
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
