import { createClient } from "@tributary/client-sdk";
import { roundIdOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../support/fake-coordinator.ts";
import { countingTrainer, sumPredictor } from "../support/trainers.ts";

const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  0,
  "text",
  [],
  {},
  { taskId: TASK },
  { taskId: TASK, roundId: null, checkpoint: null, paused: "yes", reason: 7, outcome: [] },
  new Uint8Array(3),
];

/** An honest assignment with one thing in it that cannot be. */
function lies(fake: FakeCoordinator): unknown[] {
  const honest = fake.assignment(1);
  const { plan, checkpoint, update } = honest;
  return [
    { ...honest, plan: null },
    { ...honest, plan: { ...plan, optimizer: null } },
    { ...honest, plan: { ...plan, clippingNorm: 0 } },
    { ...honest, plan: { ...plan, epochs: 1e400 } },
    { ...honest, checkpoint: { ...checkpoint, bytes: 2 ** 50 } },
    { ...honest, checkpoint: { ...checkpoint, bytes: -1 } },
    { ...honest, checkpoint: { ...checkpoint, digest: {} } },
    { ...honest, checkpoint: undefined },
    { ...honest, update: null },
    { ...honest, update: { ...update, token: "two\r\nlines: of a header" } },
    { ...honest, timeLeftMs: "soon" },
    { ...honest, timeLeftMs: -1 },
    { ...honest, deadlineAt: "never" },
    { ...honest, roundNumber: "1" },
  ];
}

test("[AT2] a coordinator that talks nonsense breaks no client: nothing is trained, sent or thrown", async () => {
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  try {
    await using fake = await startFakeCoordinator();
    const trainer = countingTrainer();
    await using client = createClient({
      url: fake.url,
      backoff: { baseMs: 1, maxMs: 5 },
      ackTimeoutMs: 2_000,
    });
    await using model = client.model(TASK, { predictor: sumPredictor });
    await model.ready;
    const participant = client.join(TASK, { trainer });
    await fake.until("checkin");

    for (const event of [
      "round:assigned",
      "round:closed",
      "model:published",
      "task:paused",
      "task:ended",
    ]) {
      for (const message of NONSENSE) fake.emit(event, message);
    }
    for (const lie of lies(fake)) fake.emit("round:assigned", lie);

    // Nothing of it was believed, and the client is as good as before.
    const reported = new Promise((resolve) => participant.on("reported", resolve));
    fake.emit("round:assigned", fake.assignment(2));
    expect(await reported).toMatchObject({ roundId: roundIdOf(TASK, 2) });
    expect(trainer.begun).toBe(1);
    expect(fake.puts).toHaveLength(1);
    expect(await model.predict(null)).toBe(0);
  } finally {
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
  }
  expect(faults).toEqual([]);
});

test("[AT2] a check-in that is answered with nonsense is said again later, and ends nothing", async () => {
  await using fake = await startFakeCoordinator();
  const answers = [...NONSENSE, ...lies(fake)].map((assignment) => ({
    ok: true,
    value: { clientId: "client", task: 5, assignment },
  }));
  const replies: unknown[] = [
    ...NONSENSE,
    ...NONSENSE.map((value) => ({ ok: true, value })),
    ...answers,
  ];
  fake.nonsense = [...replies];
  await using client = createClient({
    url: fake.url,
    backoff: { baseMs: 1, maxMs: 2 },
    ackTimeoutMs: 2_000,
  });
  const trainer = countingTrainer();
  const participant = client.join(TASK, { trainer });
  const codes: string[] = [];
  participant.on("error", ({ code }) => void codes.push(code));
  const reported = new Promise((resolve) => participant.on("reported", resolve));
  await fake.until("checkin", replies.length + 1, 30_000);
  fake.emit("round:assigned", fake.assignment(1));
  await reported;
  expect(codes).toHaveLength(replies.length);
  expect(new Set(codes)).toEqual(new Set(["UNAVAILABLE"]));
  expect(trainer.begun).toBe(1);
});
