import { webcrypto } from "node:crypto";

import type { Encoding, TaskId } from "@tributary/protocol";
import {
  decodeCheckpoint,
  decodePayload,
  encodePayload,
  frameUpdate,
  maxPayloadBytes,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

/** Enough for a sum in memory of its own; no multiple of a block, a vector or a pair. */
const PARAMETERS = 20_003;
/** One pass of four, and two that are left. */
const CLIENTS = 6;
const ENCODINGS: readonly Encoding[] = [
  { kind: "float32" },
  { kind: "bfloat16" },
  { kind: "int8" },
  { kind: "int4" },
  { kind: "topK", fraction: 0.1, values: "int8", feedback: true },
  { kind: "randomK", fraction: 0.1, values: "bfloat16", feedback: false },
];

test.each(ENCODINGS.map((encoding) => [encoding.kind, encoding] as const))(
  "[KN10] a round over the network publishes the mean of what its clients sent as %s",
  async (_, encoding) => {
    await using running = await startCoordinator();
    const task = "small" as TaskId;
    await running.coordinator.tasks.create(
      smallTask({
        model: { tensors: [{ name: "w", shape: [PARAMETERS] }] },
        plan: { encoding },
        clippingNorm: 1,
        schedule: { minClients: CLIENTS, minReports: CLIENTS },
      }),
    );
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => connectRaw(running.url)),
    );
    await using connections = {
      clients,
      [Symbol.asyncDispose]: async () => {
        for (const client of clients) await client[Symbol.asyncDispose]();
      },
    };
    const replies = await Promise.all(connections.clients.map((client) => client.checkIn(task)));
    const { layout } = replies[0]!.task;
    const expected = new Float64Array(PARAMETERS);
    await Promise.all(
      clients.map(async (client, k) => {
        // The last is clipped to norm 1, whatever it sent.
        const size = k === CLIENTS - 1 ? 5 : 1e-3;
        const delta = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + k) * size);
        const payload = encodePayload(encoding, delta, (bits) => webcrypto.getRandomValues(bits));
        expect(payload.length).toBeLessThanOrEqual(maxPayloadBytes(encoding, PARAMETERS));
        const sent = decodePayload(encoding, PARAMETERS, payload);
        const norm = Math.hypot(...sent);
        sent.forEach((value, i) => (expected[i]! += (value * Math.min(1, 1 / norm)) / CLIENTS));
        const update = { format: encoding, payload, numExamples: 1, metrics: {} };
        const answer = await client.put(await client.nextAssignment(), frameUpdate(layout, update));
        expect(answer).toMatchObject({ status: 200, body: { status: "accepted" } });
      }),
    );
    expect(await clients[0]!.nextClosed()).toMatchObject({ outcome: "committed", modelVersion: 1 });
    const frame = await fetch(`${running.url}/v1/tasks/small/checkpoints/latest`);
    const { weights } = decodeCheckpoint(layout, new Uint8Array(await frame.arrayBuffer()));
    const farthest = weights.reduce(
      (most, weight, i) => Math.max(most, Math.abs(weight - expected[i]!)),
      0,
    );
    expect(farthest).toBeLessThanOrEqual(2 ** -22 * Math.max(...expected.map(Math.abs)));
    expect(Math.max(...expected)).toBeGreaterThan(1e-4);
  },
);
