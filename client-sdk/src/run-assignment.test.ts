import type { Assignment, KeyRecord, Layout, TaskId, TrainingPlan } from "@tributary/protocol";
import { createLayout, decodeUpdate, encodeCheckpoint, l2Norm, sha256 } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { signFor, testKey } from "../../test/support/signing.ts";
import { createMemoryCache } from "./cache.ts";
import { createMemoryFeedback } from "./encoding/feedback-store.ts";
import { createUpdateEncoding } from "./encoding/update-encoding.ts";
import type { Http } from "./http.ts";
import { createPrivacyGuard } from "./privacy/guard.ts";
import { runAssignment } from "./run-assignment.ts";
import type { Trainer, TrainingResult } from "./trainer.ts";
import { createTrust } from "./trust.ts";

const fail = (error: unknown): void => {
  throw error;
};
const TASK = "t" as TaskId;
const RECEIVED = new Float32Array([1, -2, 0.5]);

async function setUp(plan: Partial<TrainingPlan> = {}, frameVersion = 4) {
  const layout = await createLayout([{ name: "w", shape: [3] }]);
  const frame = encodeCheckpoint(layout, { modelVersion: frameVersion, weights: RECEIVED });
  const digest = await sha256(frame);
  const subject = { modelVersion: 4, digest, bytes: frame.length };
  const key = await testKey(1);
  const signed = await signFor(key, { ...subject, taskId: TASK, layoutDigest: layout.digest });
  const assignment = {
    taskId: TASK,
    plan: { epochs: 1, evaluate: false, encoding: { kind: "float32" }, ...plan },
    checkpoint: { ...subject, url: "/c", signed },
    update: { url: "/u", token: "t", maxBytes: 10_000 },
  } as Assignment;
  const fetched: string[] = [];
  const http: Http = {
    getCheckpoint: async ({ url }) => {
      fetched.push(url);
      return frame;
    },
    getKeys: async () => [] as KeyRecord[],
    putUpdate: () => Promise.reject(new Error("not here")),
  };
  const cache = createMemoryCache();
  const pinned = { publicKeys: [key.publicKey] };
  const deps = {
    http,
    cache,
    trust: createTrust({ origin: "http://c", cache, getKeys: http.getKeys }, pinned),
    privacy: createPrivacyGuard("http://c"),
    clientKey: "k",
    encoding: createUpdateEncoding(
      createMemoryFeedback(),
      { origin: "http://c", taskId: TASK },
      fail,
    ),
    onCacheError: fail,
  };
  return { layout, assignment, deps, fetched };
}

const returning = (result: Partial<TrainingResult>): Trainer => ({
  train: async () => ({ weights: RECEIVED, numExamples: 1, metrics: {}, ...result }),
});

function work(
  { deps, assignment, layout }: Awaited<ReturnType<typeof setUp>>,
  trainer: Trainer,
  signal = new AbortController().signal,
) {
  return runAssignment(deps, { assignment, layout, trainer, signal, onProgress: () => undefined });
}

test("[SDK40] the update is trained - received, also when the trainer works in place", async () => {
  const set = await setUp();
  const trainer: Trainer = {
    train: async ({ weights, plan, layout }) => {
      expect(weights).toEqual(RECEIVED);
      expect(plan).toBe(set.assignment.plan);
      expect(layout).toBe(set.layout);
      for (let i = 0; i < weights.length; i++) weights[i]! += i + 1;
      return { weights, numExamples: 17, metrics: { trainLoss: 0.25 } };
    },
  };
  const update = decodeUpdate(set.layout, await work(set, trainer));
  expect(update).toEqual({
    delta: new Float32Array([1, 2, 3]),
    numExamples: 17,
    metrics: { trainLoss: 0.25 },
  });
});

test("[SDK41] what is not finite never leaves the client", async () => {
  const set = await setUp();
  for (const value of [NaN, Infinity, -Infinity]) {
    const weights = new Float32Array([1, value, 1]);
    await expect(work(set, returning({ weights }))).rejects.toMatchObject({
      code: "UPDATE_NOT_FINITE",
    });
  }
  const frame = await work(set, returning({ metrics: { trainLoss: NaN } }));
  expect(decodeUpdate(set.layout, frame).metrics).toEqual({});
});

test("[SDK41] a result that cannot be an update is refused with its code", async () => {
  const set = await setUp();
  await expect(work(set, returning({ weights: new Float32Array(2) }))).rejects.toMatchObject({
    code: "UPDATE_LAYOUT_MISMATCH",
  });
  for (const numExamples of [0, -1, 1.5, NaN, 2 ** 32]) {
    await expect(work(set, returning({ numExamples }))).rejects.toMatchObject({
      code: "MALFORMED_MESSAGE",
    });
  }
  const { assignment } = set;
  const small = {
    ...set,
    assignment: { ...assignment, update: { ...assignment.update, maxBytes: 60 } },
  };
  await expect(work(small, returning({}))).rejects.toMatchObject({ code: "UPDATE_TOO_LARGE" });
});

test("[SDK42] the delta is clipped to the plan's norm, and left alone below it", async () => {
  const set = await setUp({ clippingNorm: 2 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 3, maxLength: 3 }),
      async (step) => {
        const weights = RECEIVED.map((value, i) => value + step[i]!);
        const raw = weights.map((value, i) => value - RECEIVED[i]!);
        const { delta } = decodeUpdate(set.layout, await work(set, returning({ weights })));
        expect(l2Norm(delta)).toBeLessThanOrEqual(2 * (1 + 1e-6));
        if (l2Norm(raw) <= 2) expect(delta).toEqual(raw);
        else expect(l2Norm(delta)).toBeCloseTo(2, 5);
      },
    ),
    { numRuns: 50 },
  );
});

test("[SDK43] evaluation sums are sent only when the plan asks for them", async () => {
  const evaluation = {
    numExamples: 2,
    lossSum: 1,
    truePositives: [1, 0],
    falsePositives: [1, 0],
    falseNegatives: [0, 1],
  };
  for (const evaluate of [true, false]) {
    const set = await setUp({ evaluate });
    const frame = await work(set, returning({ metrics: { evaluation } }));
    expect(decodeUpdate(set.layout, frame).metrics).toEqual(evaluate ? { evaluation } : {});
    // Nothing that a trainer has put beside them, and nothing that the coordinator could not read.
    const more = { ...evaluation, examples: ["a diary"] };
    const same = await work(set, returning({ metrics: { evaluation: more } }));
    expect(same).toEqual(frame);
    const none = await work(set, returning({ metrics: { evaluation: { ...more, lossSum: NaN } } }));
    expect(decodeUpdate(set.layout, none).metrics).toEqual({});
  }
});

test("[SDK44] a checkpoint is fetched once; the cache has it after that", async () => {
  const set = await setUp();
  await work(set, returning({}));
  await work(set, returning({}));
  expect(set.fetched).toEqual(["/c"]);
  const cached = await set.deps.cache.get(TASK);
  expect(cached?.checkpoint.modelVersion).toBe(4);
});

test("[SDK44] a cache that fails costs a download and is told of", async () => {
  const set = await setUp();
  const faults: unknown[] = [];
  const broken = () => Promise.reject(new Error("disk full"));
  const deps = {
    ...set.deps,
    cache: {
      ...{ get: broken, getFrame: broken, put: broken },
      ...{ getTrust: broken, putTrust: broken },
    },
    onCacheError: (error: unknown) => void faults.push(error),
  };
  await work({ ...set, deps }, returning({}));
  expect(set.fetched).toEqual(["/c"]);
  expect(faults).toHaveLength(2);
});

test("[SDK45] a frame of another version or layout is not trained on", async () => {
  const wrongVersion = await setUp({}, 5);
  await expect(work(wrongVersion, returning({}))).rejects.toMatchObject({
    code: "CHECKPOINT_CORRUPT",
  });
  const set = await setUp();
  const layout: Layout = await createLayout([{ name: "other", shape: [3] }]);
  // Signed for this layout, which the frame is not of.
  const { checkpoint } = set.assignment;
  const subject = { taskId: TASK, layoutDigest: layout.digest };
  const signed = await signFor(await testKey(1), { ...checkpoint, ...subject });
  const assignment = { ...set.assignment, checkpoint: { ...checkpoint, signed } };
  await expect(work({ ...set, layout, assignment }, returning({}))).rejects.toMatchObject({
    code: "UPDATE_LAYOUT_MISMATCH",
  });
});

test("[SDK46] work that was called off gives ABORTED, whatever the trainer does about it", async () => {
  const set = await setUp();
  for (const end of ["throws", "returns"]) {
    const controller = new AbortController();
    const trainer: Trainer = {
      train: async ({ weights }) => {
        controller.abort();
        if (end === "throws") throw new Error("interrupted");
        return { weights, numExamples: 1, metrics: {} };
      },
    };
    await expect(work(set, trainer, controller.signal)).rejects.toMatchObject({ code: "ABORTED" });
  }
});
