import type { Assignment, TaskId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { PrivacyOptions } from "./guard.ts";
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

const plain = { ...assignment, plan: { clippingNorm: 1 } } as unknown as Assignment;
const bounded = {
  ...assignment,
  plan: { clippingNorm: 1, participation: { minSeparation: 1, maxParticipations: 5 } },
} as unknown as Assignment;

test("[LD17] the part that keeps account is loaded where a plan or the app needs it, and not before", async () => {
  const cases: [PrivacyOptions, Assignment, boolean][] = [
    [{}, plain, false],
    [{}, bounded, true],
    [{ ledger: createMemoryLedger() }, plain, true],
    [{ ledger: createMemoryLedger() }, assignment, true],
    [{ maxEpsilon: 1, ledger: createMemoryLedger() }, assignment, true],
  ];
  for (const [options, offered, isLoaded] of cases) {
    let loads = 0;
    const guard = createPrivacyGuard("http://c", options, () => {
      loads += 1;
      return import("./ledger-guard.ts");
    });
    await guard.admits(offered).catch(() => false);
    await guard.follows(offered);
    await guard.protect(offered, update(), never).catch(() => undefined);
    expect(loads).toBe(isLoaded ? 1 : 0);
  }
  await expect(createPrivacyGuard("http://c").about(plain.taskId)).resolves.toMatchObject({
    updates: 0,
  });
});

test("[LD17] where it cannot be loaded nothing is sent, and the next try asks for it again", async () => {
  let fails = true;
  const guard = createPrivacyGuard("http://c", { ledger: createMemoryLedger() }, () =>
    fails ? Promise.reject(new TypeError("Failed to fetch")) : import("./ledger-guard.ts"),
  );
  const refused = { code: "UNAVAILABLE", cause: expect.any(TypeError) };
  for (const offered of [plain, bounded, assignment]) {
    await expect(guard.admits(offered)).rejects.toMatchObject(refused);
    await expect(guard.follows(offered)).rejects.toMatchObject(refused);
    await expect(guard.protect(offered, update(), never)).rejects.toMatchObject(refused);
  }
  fails = false;
  expect(await guard.admits(assignment)).toBe(true);
});

test("[LD17] where it will be needed it is loaded at once: later the network, or the file, may be gone", async () => {
  let loads = 0;
  const load = () => {
    loads += 1;
    return import("./ledger-guard.ts");
  };
  createPrivacyGuard("http://c", {}, load);
  expect(loads).toBe(0);
  createPrivacyGuard("http://c", { ledger: createMemoryLedger() }, load);
  createPrivacyGuard("http://c", { maxEpsilon: 1 }, load);
  expect(loads).toBe(2);
});

test("[LD17] once a task was bounded, a plan without the bound is held against it, whatever was loaded when", async () => {
  const guard = createPrivacyGuard("http://c");
  expect(await guard.admits(plain)).toBe(true);
  await guard.protect(bounded, update(), never);
  await expect(guard.admits(plain)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await expect(guard.protect(plain, update(), never)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
  });
});
