/**
 * One run of a private task with canaries for clients: the coordinator's own engine, sampler, intake of updates,
 * sum, mechanism, ledger and accountant, over a store in memory. Each canary is there by a fair coin; it has a
 * direction of its own, sends far more than the clipping norm along it, and claims far more examples than it may.
 */

import type { Assignment, ClientId, TaskSpecInput } from "@tributary/protocol";
import { checksumOf, createLayout, decodeCheckpoint, encodeCheckpoint } from "@tributary/protocol";

import { denseDelta } from "../../coordinator/src/aggregation/encoded-delta.ts";
import { createAssignmentTokens } from "../../coordinator/src/clients/assignment-token.ts";
import { systemClock } from "../../coordinator/src/clock.ts";
import { createHmacSha256 } from "../../coordinator/src/identity/hmac.ts";
import { createBlobKeeper } from "../../coordinator/src/model/blob-keeper.ts";
import { manifestOf } from "../../coordinator/src/model/manifest.ts";
import { createModelRegistry } from "../../coordinator/src/model/registry.ts";
import { openSigner } from "../../coordinator/src/model/signer.ts";
import { createIntegerNoise } from "../../coordinator/src/privacy/integer-noise.ts";
import { createSecureRandom, uniformFrom } from "../../coordinator/src/privacy/random.ts";
import { reckonHere } from "../../coordinator/src/privacy/reckoner.ts";
import { privacyResource } from "../../coordinator/src/round/budget.ts";
import type { RoundEngine } from "../../coordinator/src/round/engine.ts";
import { startRoundEngine } from "../../coordinator/src/round/engine.ts";
import { createUpdateIntake } from "../../coordinator/src/round/intake.ts";
import { createMemoryBlobs, createMemoryStore } from "../../coordinator/src/storage/memory.ts";
import { resolveTaskSpec } from "../../coordinator/src/task/spec.ts";

export interface CanaryRunOptions {
  readonly canaries: number;
  readonly rounds: number;
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
  readonly clippingNorm: number;
  readonly delta: number;
}

export interface CanaryRun {
  /** Whose coin fell on "in". */
  readonly present: readonly boolean[];
  /** What was released along each canary's direction. */
  readonly scores: readonly number[];
  /** What the coordinator says that the run has cost. */
  readonly claimedEpsilon: number;
}

/** Clients that are expected for each canary: most of them never come, so noise that follows the answers shows. */
const EXPECTED_PER_CANARY = 8;
/** How far beyond the clipping norm a canary goes, and how many examples it claims. */
const EXCESS = 10;
const CLAIMED_EXAMPLES = 100;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export async function runCanaries(options: CanaryRunOptions): Promise<CanaryRun> {
  const { canaries, rounds, clippingNorm, delta } = options;
  const random = createSecureRandom();
  const uniform = uniformFrom(random);
  const present = Array.from({ length: canaries }, () => uniform.next() < 0.5);
  const clients = present.flatMap((isIn, i) => (isIn ? [clientOf(i)] : []));
  const spec = resolveTaskSpec(taskFor(options, clients.length));
  const { taskId } = spec;

  const clock = systemClock;
  const store = createMemoryStore();
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 1 });
  const layout = await createLayout(spec.model.tensors);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights: new Float32Array(canaries) });
  const digest = await shelf.save(frame);
  const task = { taskId, spec, layout, state: "running" as const, createdAt: clock.now() };
  const signer = await openSigner({ store, clock, random }, {});
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt: 0 };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    store.createTask(task, { ...initial, signed }),
  );
  const tokens = createAssignmentTokens(createHmacSha256(random.bytes(32)));

  let committed = 0;
  let finish: (failure?: Error) => void = () => {};
  const finished = new Promise<void>((resolve, reject) => {
    finish = (failure) => {
      if (failure === undefined) resolve();
      else reject(failure);
    };
  });
  const work = (job: Promise<unknown>) =>
    void job.catch((error: unknown) => finish(error as Error));
  const engine: RoundEngine = await startRoundEngine(
    {
      ...{ store, blobs, shelf, clock, signer, tokens, logger: silent },
      ...{ noise: createIntegerNoise(random), reckon: reckonHere },
      isConnected: () => true,
      uniformFor: () => uniformFrom(random),
      events: { emit: () => {} },
      gateway: {
        assign: (clientId, assignment) => work(report(clientId, assignment)),
        closeRound: (clientIds, { outcome }) => {
          if (outcome === "abandoned") finish(new Error("a round was abandoned"));
          else if (outcome === "committed" && committed + 1 < rounds) {
            for (const clientId of clientIds) work(engine.checkIn(clientId));
          }
        },
        publishModel: () => {
          committed += 1;
          if (committed === rounds) finish();
        },
        taskPaused: () => {},
        taskEnded: () => {},
        dismiss: () => {},
      },
    },
    task,
    { disconnectGraceMs: 10_000, abandonedRetryMs: 1_000 },
  );
  const intake = createUpdateIntake({
    ...{ tokens, clock, engineOf: () => engine },
    authenticator: { assertAdmitted: async () => {} },
  });

  async function report(clientId: ClientId, { roundId, update }: Assignment): Promise<void> {
    const { participant, leave } = await intake.admit(roundId, update.token);
    const vector = new Float32Array(canaries);
    vector[indexOf(clientId)] = EXCESS * clippingNorm;
    const checksum = checksumOf(new TextEncoder().encode(`${roundId} ${clientId}`));
    const sent = { numExamples: CLAIMED_EXAMPLES, metrics: {}, bytes: 4 * canaries, checksum };
    await intake.report(participant, { ...sent, delta: denseDelta(vector) }).finally(leave);
  }

  try {
    for (const clientId of clients) work(engine.checkIn(clientId));
    await finished;
    const latest = await store.latestModelVersion(taskId);
    if (latest === undefined) throw new Error("nothing was released");
    // Steps of plain SGD from zero: the newest weights are the sum of all that was released.
    const { weights } = decodeCheckpoint(layout, await shelf.checkpoint(latest.digest));
    const spent = privacyResource(spec, await store.listLedger(taskId), latest);
    if (spent.mechanism !== "central" || spent.delta !== delta)
      throw new Error("another mechanism");
    return { present, scores: [...weights], claimedEpsilon: spent.epsilon };
  } finally {
    await engine.stop(0);
  }
}

const clientOf = (index: number) => `canary-${`${index}`.padStart(8, "0")}` as ClientId;
const indexOf = (clientId: ClientId) => Number(clientId.slice("canary-".length));

function taskFor(options: CanaryRunOptions, clients: number): TaskSpecInput {
  const { canaries, noiseMultiplier, samplingRate, clippingNorm, delta } = options;
  return {
    taskId: "canaries",
    model: { tensors: [{ name: "direction", shape: [canaries] }] },
    sampler: { kind: "poisson", samplingRate, population: EXPECTED_PER_CANARY * canaries },
    privacy: { mechanism: "central", noiseMultiplier, delta, maxEpsilon: 1000 },
    clippingNorm,
    serverOptimizer: { kind: "sgd", learningRate: 1 },
    // A round begins when all of them wait, and ends when all that were selected have answered.
    schedule: { minClients: clients, minReports: 1 },
  };
}
