/** One encoding on the digits: what the SDK's encoder sends, as the protocol decodes it, added up to a model. */

import { brotliCompressSync, constants } from "node:zlib";

import * as tf from "@tensorflow/tfjs";
import { chooseBackend } from "@tributary/client-sdk/node";
import { createTfjsTrainer, describeModel } from "@tributary/client-sdk/tfjs";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import {
  createModel,
  createSeededRandom,
  loadMnist,
  partitionImages,
  selectExamples,
} from "@tributary/example-digits";
import type { Assignment, Digest, Layout, TaskId, TrainingPlan } from "@tributary/protocol";
import { createLayout, decodeUpdate, roundIdOf, subtract } from "@tributary/protocol";

import { createMemoryFeedback } from "../../../client-sdk/src/encoding/feedback-store.ts";
import type { UpdateEncoding } from "../../../client-sdk/src/encoding/update-encoding.ts";
import { createUpdateEncoding } from "../../../client-sdk/src/encoding/update-encoding.ts";
import type { BytesCase, BytesSettings } from "./cases.ts";

export interface BytesResult {
  readonly name: string;
  readonly seed: number;
  /** Mean bytes of an update frame. */
  readonly bytes: number;
  /** The same after brotli, quality 1, of the last round's updates. */
  readonly brotliBytes: number;
  /** CPU that brotli took for one of them, in milliseconds. */
  readonly brotliMs: number;
  /** Mean accuracy over the last rounds, on the test images. */
  readonly accuracy: number;
  readonly accuracies: readonly number[];
  readonly backend: string;
  readonly seconds: number;
}

const TASK = "digits" as TaskId;
const never = new AbortController().signal;

export async function runBytesCase(
  { name, encoding }: BytesCase,
  seed: number,
  settings: BytesSettings,
  onRound: (round: number) => void = () => {},
): Promise<BytesResult> {
  const startedAt = performance.now();
  tf.env().set("PROD", true);
  const { backend } = await chooseBackend({ tf });
  const { train, test } = await loadMnist();
  const random = createSeededRandom(seed);
  const model = createModel(tf, settings.model, seed);
  const { tensors, initialWeights } = await describeModel(model);
  const layout = await createLayout(tensors);
  const every = Math.floor(test.count / settings.testImages);
  const judged = selectExamples(
    test,
    Uint32Array.from({ length: settings.testImages }, (_, i) => i * every),
  );
  const evaluator = createTfjsEvaluator({
    ...{ tf, model },
    dataset: { xs: judged.pixels, scale: 1 / 255, ys: judged.labels, inputShape: [784] },
  });
  const order = partitionImages(train.labels, 1, { kind: "iid" }, random)[0] as Uint32Array;
  const clients = Array.from({ length: settings.clients }, (_, index) => {
    const from = index * settings.examples;
    const own = selectExamples(train, order.subarray(from, from + settings.examples));
    const trainer = createTfjsTrainer({
      ...{ tf, model, seed: seed * 1000 + index },
      dataset: { xs: own.pixels, scale: 1 / 255, ys: own.labels, inputShape: [784] },
    });
    const fail = (error: unknown) => {
      throw error;
    };
    const updates = createUpdateEncoding(
      createMemoryFeedback(),
      { origin: "x", taskId: TASK },
      fail,
    );
    return { trainer, updates, clientKey: `client ${index}` };
  });

  const weights = initialWeights.slice();
  const accuracies: number[] = [];
  let sent = 0;
  let frames: Uint8Array[] = [];
  for (let round = 1; round <= settings.rounds; round++) {
    const cohort = random.shuffle(clients.map((_, i) => i)).slice(0, settings.cohort);
    const plan: TrainingPlan = {
      ...{ epochs: 1, batchSize: settings.batchSize, learningRate: settings.learningRate },
      ...{ optimizer: { kind: "sgd" }, proximalMu: 0, evaluate: false },
      ...{ encoding, compression: "none", seed: seed * 100_000 + round },
    };
    const assignment = assignmentOf(round, plan);
    const sum = new Float64Array(weights.length);
    frames = [];
    for (const index of cohort) {
      const client = clients[index]!;
      client.updates.begins(assignment.roundId, plan);
      const trained = await client.trainer.train({
        ...{ weights: weights.slice(), layout, plan, signal: never },
      });
      const delta = subtract(trained.weights, weights);
      const frame = await encodeWith(
        client.updates,
        { assignment, layout, delta },
        client.clientKey,
      );
      await client.updates.reported({
        ...{ roundId: assignment.roundId, status: "committed", duplicate: false },
      });
      frames.push(frame);
      sent += frame.length;
      const received = decodeUpdate(layout, frame).delta;
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + received[i]!;
    }
    for (let i = 0; i < weights.length; i++) weights[i] = weights[i]! + sum[i]! / cohort.length;
    if (round > settings.rounds - settings.lastRounds) {
      accuracies.push((await evaluator.evaluate(weights, layout, never)).accuracy ?? Number.NaN);
    }
    onRound(round);
  }
  for (const { trainer } of clients) trainer.dispose?.();
  model.dispose();
  const packed = packedBytes(frames);
  return {
    ...{ name, seed, backend, accuracies, ...packed },
    bytes: sent / (settings.rounds * settings.cohort),
    accuracy: accuracies.reduce((total, each) => total + each, 0) / accuracies.length,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

const encodeWith = (
  updates: UpdateEncoding,
  made: { readonly assignment: Assignment; readonly layout: Layout; readonly delta: Float32Array },
  clientKey: string,
): Promise<Uint8Array> =>
  updates.encode({
    ...{ assignment: made.assignment, layout: made.layout, clientKey, signal: never },
    update: { delta: made.delta, numExamples: 1, metrics: {} },
  });

const assignmentOf = (round: number, plan: TrainingPlan): Assignment => ({
  ...{ taskId: TASK, roundId: roundIdOf(TASK, round), roundNumber: round, plan, reported: false },
  checkpoint: {
    ...{ modelVersion: round - 1, digest: "0".repeat(64) as Digest, bytes: 0, url: "/" },
    signed: { manifest: "", publicKey: "" as never, signature: "" },
  },
  update: { url: "/", token: "t", maxBytes: Infinity },
  ...{ deadlineAt: new Date(0).toISOString(), timeLeftMs: 1 },
});

/** Quality 1 is as much as a client has time for: higher ones take ten times as long for some per cent. */
function packedBytes(frames: readonly Uint8Array[]) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 1 };
  const before = process.cpuUsage();
  const bytes = frames.map((frame) => brotliCompressSync(frame, { params }).length);
  const { user, system } = process.cpuUsage(before);
  return {
    brotliBytes: bytes.reduce((sum, each) => sum + each, 0) / frames.length,
    brotliMs: (user + system) / 1000 / frames.length,
  };
}
