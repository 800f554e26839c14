/**
 * The event loop under load: how long its turns are kept waiting while 50 clients upload 4 MB each at the same time,
 * beside the same uploads to a bare node:http server that discards them.
 */

import { encodeUpdate } from "@tributary/protocol";

import { spreadOf } from "./measure.ts";
import type { Row, Section, SectionResult } from "./section.ts";
import { startSenders } from "./senders.ts";
import type { Server } from "./servers/server.ts";
import { startBareBodies } from "./servers/server.ts";
import type { Delays } from "./servers/messages.ts";
import type { Batch } from "./upload-senders.ts";
import type { MeasuredTask } from "./upload-stand.ts";
import { startUploadStand } from "./upload-stand.ts";

/** A timer is due so often; what is longer is delay. */
const RESOLUTION_MS = 1;
const P99_GOAL_MS = 50;

interface Measured extends Delays {
  readonly wallMs: number;
}

async function run(mini: boolean): Promise<SectionResult> {
  const clients = mini ? 4 : 50;
  const parameterCount = mini ? 20_000 : 1_000_000;
  const runs = mini ? 1 : 9;
  await using senders = await startSenders();
  await using discard = await startBareBodies("discard");
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
  const measured = new Map<string, Measured[]>();
  // The first turn warms up.
  for (let turn = 0; turn <= runs; turn++) {
    const measure = async (name: string, server: Server, uploads: Batch["uploads"]) => {
      const start = performance.now();
      const batch = { url: server.url, connections: clients, uploads };
      const delays = await server.delaysDuring(RESOLUTION_MS, () => senders.send(batch));
      const wallMs = performance.now() - start;
      if (turn > 0) measured.set(name, [...(measured.get(name) ?? []), { ...delays, wallMs }]);
    };
    await measure("discard", discard, toDiscard);
    for (const [name, task] of tasks) {
      await using round = await stand.openRound(task);
      await measure(name, stand.server, round.uploadsOf("frame", frame));
    }
  }
  const row = (name: string, label: string, isReference: boolean): Row => {
    const of = (pick: (one: Measured) => number) => spreadOf((measured.get(name) ?? []).map(pick));
    return {
      name: label,
      ...(isReference ? { isReference } : {}),
      values: {
        "p50 ms": of(({ p50Ms }) => p50Ms),
        "p99 ms": of(({ p99Ms }) => p99Ms),
        "max ms": of(({ maxMs }) => maxMs),
        "wall ms": of(({ wallMs }) => wallMs),
      },
    };
  };
  const p99 = spreadOf((measured.get("averaged") ?? []).map(({ p99Ms }) => p99Ms)).median;
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
