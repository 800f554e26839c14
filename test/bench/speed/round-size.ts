/** Rounds of one model in one encoding by one size of a cohort; runs in a process of its own. */

import { randomFillSync } from "node:crypto";
import type { TaskSpecInput } from "@tributary/protocol";
import { createLayout, encodePayload, frameUpdate } from "@tributary/protocol";

import { createRandom } from "../../support/random.ts";
import { answer } from "./apart.ts";
import { spreadOf } from "./measure.ts";
import { peakMb, resetPeak } from "./peak-memory.ts";
import type { Spread } from "./section.ts";
import { bodyOf, startRoundServer } from "./round-server.ts";

export interface RoundSize {
  readonly parameters: number;
  readonly encoding: { readonly kind: "float32" | "int8" };
  readonly clients: number;
  readonly runs: number;
  /** After so long no other run begins. */
  readonly budgetMs: number;
}

export interface RoundFigures {
  readonly clients: number;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  /** Above what the process had with the clients' updates and no coordinator; undefined where it is not known. */
  readonly peakMb: number | undefined;
}

/** Different enough that the sum is no sum of equals; few, so that memory is the server's. */
const DISTINCT_UPDATES = 4;

const { parameters, encoding, clients, runs, budgetMs } = JSON.parse(
  process.argv[2] ?? "",
) as RoundSize;

const model: TaskSpecInput["model"] = { tensors: [{ name: "w", shape: [parameters] }] };
const layout = await createLayout(model.tensors);
const random = createRandom(1);
const bodies = Array.from({ length: DISTINCT_UPDATES }, () => {
  const delta = Float32Array.from({ length: parameters }, () => random.next() - 0.5);
  const payload = encodePayload(encoding, delta, (bits) => randomFillSync(bits));
  return bodyOf(frameUpdate(layout, { format: encoding, payload, numExamples: 100, metrics: {} }));
});

// Asked for by the parent: --expose-gc.
globalThis.gc?.();
resetPeak();
const before = peakMb();
const server = await startRoundServer(taskOf(clients), clients);
const wall: number[] = [];
const cpu: number[] = [];
// The first round warms up.
await server.round(bodies);
const start = performance.now();
while (wall.length < runs && (wall.length === 0 || performance.now() - start < budgetMs)) {
  const cpuBefore = process.cpuUsage();
  const wallBefore = performance.now();
  await server.round(bodies);
  wall.push(performance.now() - wallBefore);
  const { user, system } = process.cpuUsage(cpuBefore);
  cpu.push((user + system) / 1_000);
}
const peak = peakMb();
await server[Symbol.asyncDispose]();
answer({
  clients,
  wallMs: spreadOf(wall),
  cpuMs: spreadOf(cpu),
  peakMb: peak === undefined || before === undefined ? undefined : peak - before,
} satisfies RoundFigures);

function taskOf(clients: number): TaskSpecInput {
  return {
    taskId: "bench",
    model,
    plan: { encoding },
    // Clipping is what a deployment against strangers has, and it bounds what each of them can do.
    clippingNorm: 1,
    weighting: { kind: "uniform" },
    sampler: { kind: "all" },
    schedule: { minClients: clients, minReports: clients, reportWindowMs: 600_000 },
  };
}
