import type { Assignment, TaskId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createPrivacyGuard } from "./guard.ts";
import { createMemoryLedger } from "./ledger-store.ts";

const never = new AbortController().signal;
const update = () => ({ delta: new Float32Array(4), numExamples: 3, metrics: {} });
const assignment = {
  taskId: "t" as TaskId,
  roundId: "t.1",
  checkpoint: { modelVersion: 0 },
  plan: {
    clippingNorm: 1,
    // One update costs about 2.9 of these 4, two cost more.
    localNoise: { noiseMultiplier: 1.4, delta: 1e-5, maxEpsilon: 4 },
  },
} as unknown as Assignment;

test("[LD10] of two that were let in on the last update of one ledger, one makes it", async () => {
  const ledger = createMemoryLedger();
  const guards = [1, 2].map(() => createPrivacyGuard("http://c", { ledger }));
  for (const guard of guards) expect(await guard.admits(assignment)).toBe(true);
  const outcomes = await Promise.allSettled(
    guards.map((guard) => guard.protect(assignment, update(), never)),
  );
  const made = outcomes.filter(({ status }) => status === "fulfilled");
  expect(made).toHaveLength(1);
  const [refused] = outcomes.filter((outcome) => outcome.status === "rejected");
  const reason: unknown = refused?.reason;
  expect(isFederatedError(reason) && reason.code).toBe("PRIVACY_BUDGET_EXHAUSTED");
  expect((await guards[0]!.about(assignment.taskId)).updates).toBe(1);
});

test("[LD8] noise that is not finished is on record all the same", async () => {
  const guard = createPrivacyGuard("http://c", { ledger: createMemoryLedger() });
  const aborted = AbortSignal.abort();
  await expect(guard.protect(assignment, update(), aborted)).rejects.toThrow();
  expect((await guard.about(assignment.taskId)).updates).toBe(1);
});

test("[LD12] limits that are none are refused", () => {
  for (const privacy of [{ maxEpsilon: 0 }, { maxEpsilon: Infinity }, { maxEpsilon: Number.NaN }]) {
    expect(() => createPrivacyGuard("http://c", privacy)).toThrow(/maxEpsilon must be above 0/);
  }
  for (const delta of [0, 1, Number.NaN]) {
    expect(() => createPrivacyGuard("http://c", { maxEpsilon: 1, delta })).toThrow(/delta must be/);
  }
});
