import type { ClientId, Receipt, RoundId, TaskId } from "@tributary/protocol";
import { checksumOf, createLayout, FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import { denseDelta } from "../aggregation/encoded-delta.ts";
import { createAssignmentTokens } from "../clients/assignment-token.ts";
import { createHmacSha256 } from "../identity/hmac.ts";
import { systemClock } from "../clock.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import type { RoundEngine } from "./engine.ts";
import { createUpdateIntake } from "./intake.ts";

const taskId = "t" as TaskId;
const roundId = "t.1" as RoundId;
const clientId = "client" as ClientId;

/** An intake whose round has two slots, and answers reports as it is told. */
async function startIntake(report: () => Promise<Receipt>) {
  const spec = resolveTaskSpec({ taskId, model: { tensors: [{ name: "w", shape: [2] }] } });
  const layout = await createLayout(spec.model.tensors);
  const task = { taskId, spec, layout, state: "running" as const, createdAt: 0 };
  const slots = { free: 2, isOpen: true };
  const ended: string[] = [];
  const engine = {
    // Whoever asked it for a snapshot would ask for the state of the whole cohort.
    task: () => task,
    uploadBegan: async () => undefined,
    uploadEnded: () => void ended.push("ended"),
    refuse: async () => {},
    report,
    slotsOf: () => ({
      take: (bytes: number) => {
        if (!slots.isOpen || slots.free === 0) return undefined;
        slots.free -= 1;
        return { bytes: new Uint8Array(bytes), release: () => void (slots.free += 1) };
      },
    }),
  } satisfies Partial<RoundEngine> as unknown as RoundEngine;
  const tokens = createAssignmentTokens(createHmacSha256(new Uint8Array(32)));
  const authenticator = { assertAdmitted: async () => {} };
  const deps = { tokens, clock: systemClock, authenticator, engineOf: () => engine };
  const token = tokens.sign({ roundId, clientId, expiresAt: Date.now() + 60_000 });
  const intake = createUpdateIntake(deps);
  return { slots, ended, intake, admit: () => intake.admit(roundId, token) };
}

const accepted = async (): Promise<Receipt> => ({ roundId, status: "accepted", duplicate: false });
const updateOf = (...values: number[]) => ({
  delta: denseDelta(Float32Array.from(values)),
  checksum: checksumOf(new Uint8Array(8)),
  numExamples: 1,
  metrics: {},
  bytes: 72,
});

test("[IG5] a slot comes back at the end of its upload, counted, refused, or broken off", async () => {
  const endings: [report: () => Promise<Receipt>, values: number[]][] = [
    [accepted, [1, 2]],
    [async () => Promise.reject(new FederatedError("UPDATE_CONFLICT", "another one")), [1, 2]],
    [accepted, [1, Number.NaN]],
    [accepted, [1]],
  ];
  for (const [report, values] of endings) {
    const { slots, ended, intake, admit } = await startIntake(report);
    const { participant, leave, slots: lent } = await admit();
    expect(lent.take(8)?.bytes).toHaveLength(8);
    expect(slots.free).toBe(1);
    await intake.report(participant, updateOf(...values)).catch(() => undefined);
    expect(slots.free).toBe(1);
    leave();
    expect([slots.free, ended.length]).toEqual([2, 1]);
  }
  const { slots, admit } = await startIntake(accepted);
  const broken = await admit();
  broken.slots.take(8);
  broken.leave();
  expect(slots.free).toBe(2);
});

test("[IG5] slots are those of the round that is open when the payload begins to come", async () => {
  const { slots, admit } = await startIntake(accepted);
  const [first, second] = [await admit(), await admit()];
  slots.isOpen = false;
  expect(first.slots.take(8)).toBeUndefined();
  slots.isOpen = true;
  expect(second.slots.take(8)).toBeDefined();
  first.leave();
  second.leave();
  expect(slots.free).toBe(2);
});
