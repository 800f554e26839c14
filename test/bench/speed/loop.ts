/**
 * The event loop under load: how long its turns are kept waiting while 50 clients upload 4 MB each at the same time,
 * beside the same uploads to a bare node:http server that discards them.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";

import { encodeUpdate } from "@tributary/protocol";

import { startDiscard } from "./bare-servers.ts";
import { spreadOf } from "./measure.ts";
import type { Row, Section, SectionResult } from "./section.ts";
import { startSenders } from "./senders.ts";
import type { MeasuredTask } from "./upload-stand.ts";
import { startUploadStand } from "./upload-stand.ts";

/** A timer is due so often; what is longer is delay. */
const RESOLUTION_MS = 1;
const P99_GOAL_MS = 50;

interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly wallMs: number;
}

/** How late turns of the event loop come while `work` goes on, in ms. */
async function delaysDuring(work: () => Promise<unknown>): Promise<Delays> {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const start = performance.now();
  monitor.enable();
  await work();
  monitor.disable();
  const wallMs = performance.now() - start;
  const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const at = (percentile: number) => delay(monitor.percentile(percentile));
  return { p50: at(50), p99: at(99), max: delay(monitor.max), wallMs };
}

async function run(mini: boolean): Promise<SectionResult> {
  const clients = mini ? 4 : 50;
  const parameterCount = mini ? 20_000 : 1_000_000;
  const runs = mini ? 1 : 9;
  await using senders = await startSenders();
  await using discard = await startDiscard();
  await using stand = await startUploadStand({ parameterCount, clients });
  const delta = new Float32Array(parameterCount).map(() => Math.random() - 0.5);
  const frame = encodeUpdate(stand.layout, { delta, numExamples: 1, metrics: { trainLoss: 1 } });
  await senders.keep("frame", frame);
  const toDiscard = Array.from({ length: clients }, () => ({
    ...{ path: "/", headers: {}, body: "frame" },
  }));
  const tasks: readonly (readonly [name: string, task: MeasuredTask])[] = [
    ["averaged", {}],
    ["clipped and averaged", { clippingNorm: 1 }],
  ];
  const measured = new Map<string, Delays[]>();
  const note = (name: string, delays: Delays) =>
    measured.set(name, [...(measured.get(name) ?? []), delays]);
  // The first turn warms up.
  for (let turn = 0; turn <= runs; turn++) {
    const bare = { url: discard.url, connections: clients, uploads: toDiscard };
    const idle = await delaysDuring(() => senders.send(bare));
    if (turn > 0) note("discard", idle);
    for (const [name, task] of tasks) {
      await using round = await stand.openRound(task);
      const uploads = round.uploadsOf("frame", frame);
      const batch = { url: stand.url, connections: clients, uploads };
      const delays = await delaysDuring(() => senders.send(batch));
      if (turn > 0) note(name, delays);
    }
  }
  const row = (name: string, label: string, isReference: boolean): Row => {
    const of = (pick: (delays: Delays) => number) => spreadOf((measured.get(name) ?? []).map(pick));
    return {
      name: label,
      ...(isReference ? { isReference } : {}),
      values: {
        "p50 ms": of(({ p50 }) => p50),
        "p99 ms": of(({ p99 }) => p99),
        "max ms": of(({ max }) => max),
        "wall ms": of(({ wallMs }) => wallMs),
      },
    };
  };
  const p99 = spreadOf((measured.get("averaged") ?? []).map((delays) => delays.p99)).median;
  return {
    rows: [
      ...tasks.map(([name]) => row(name, `${clients} updates at once, ${name}`, false)),
      row("discard", `node:http, ${clients} bodies at once, discarded`, true),
    ],
    ...(mini
      ? {}
      : {
          goals: [
            {
              name: `p99 of the event loop's delay while ${clients} clients upload 4 MB each, ms`,
              aim: `below ${P99_GOAL_MS}`,
              measured: p99,
              isReached: p99 < P99_GOAL_MS,
            },
          ],
        }),
    notes: [
      `${clients} connections, ${frame.length} bytes each, as fast as they can; delays beyond a timer of ${RESOLUTION_MS} ms, in the process that serves. Other programs on the same cores count in it.`,
    ],
  };
}

export const loopSection: Section = { name: "loop", title: "The event loop under load", run };
