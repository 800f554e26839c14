/** Real rounds of digits: what deltas between their versions save, and what copies in fewer bits cost in accuracy. */

import * as tf from "@tensorflow/tfjs";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import type { DigitsJob } from "@tributary/example-digits";
import { createModel, openTraining, startFleetPool } from "@tributary/example-digits";
import type { Digest, Layout, TaskId } from "@tributary/protocol";
import {
  decodeCheckpoint,
  decodeServingCopy,
  diffCheckpoints,
  encodeServingCopy,
  SERVING_ENCODINGS,
} from "@tributary/protocol";

import { gzipPlanes } from "../../../coordinator/src/http/gzip-planes.ts";
import type { Row } from "./section.ts";

/** Trains some rounds of McMahan's 2NN, 10 of 100 clients each, in this process. */
export async function digitsRows(mini: boolean): Promise<Row[]> {
  const rounds = mini ? 2 : 6;
  const job: DigitsJob = {
    taskId: "digits",
    model: "mlp",
    partition: { kind: "iid" },
    seed: 1,
    maxRounds: rounds,
    ...{ clients: 100, cohort: mini ? 2 : 10, epochs: 1, batchSize: 10, learningRate: 0.1 },
  };
  await using training = await openTraining({ job, storage: { kind: "memory" } });
  const failure = new AbortController();
  const fleets = await startFleetPool({
    ...{ job, url: training.url, processes: 0 },
    onTrouble: (message) => failure.abort(new Error(message)),
  });
  await training.ended(failure.signal);
  await fleets.close();
  const { models, tasks } = training.coordinator;
  const taskId = job.taskId as TaskId;
  const { layout } = await tasks.get(taskId);
  const frameOf = async (version: number) => {
    const { digest }: { digest: Digest } = await models.get(taskId, version);
    return models.checkpoint(digest);
  };
  const newest = await frameOf(rounds);
  const rows = await Promise.all(
    [...new Set([rounds - 1, Math.floor(rounds / 2)])].map(async (version): Promise<Row> => {
      const [base, target] = [await frameOf(version), newest];
      const name = `digits 2NN, round ${rounds} from version ${version}: a delta`;
      return { name, values: { "share of the bytes": await shareOf(base, target) } };
    }),
  );
  const sparse = sparseStep(await frameOf(rounds - 1), newest);
  rows.push({
    name: "the same, the largest 1 % of changes alone: a delta",
    values: { "share of the bytes": await shareOf(await frameOf(rounds - 1), sparse) },
  });
  const weights = decodeCheckpoint(layout, newest).weights;
  const accuracyOf = await judge(training.test, layout, job.seed);
  rows.push({ name: "digits 2NN, exact", values: { accuracy: await accuracyOf(weights) } });
  for (const encoding of SERVING_ENCODINGS) {
    const copy = encodeServingCopy(layout, { modelVersion: rounds, weights }, encoding);
    copy.run(0, copy.length);
    const decoded = decodeServingCopy(layout, copy.bytes).weights;
    decoded.run(0, decoded.length);
    rows.push({
      name: `digits 2NN, ${encoding} copy`,
      values: {
        accuracy: await accuracyOf(new Float32Array(decoded.bytes.buffer)),
        "share of the bytes": share(copy.bytes.length / newest.length),
      },
    });
  }
  return rows;
}

const share = (ratio: number) => Number(ratio.toPrecision(4));

async function shareOf(base: Uint8Array, target: Uint8Array): Promise<number> {
  const delta = diffCheckpoints(base, target);
  delta.run(0, delta.length);
  return share((await gzipPlanes(delta.bytes)).length / target.length);
}

/** The target of which only the largest changes were made. */
function sparseStep(base: Uint8Array, target: Uint8Array): Uint8Array {
  const [from, to] = [base, target].map((frame) => new Float32Array(frame.slice(64).buffer));
  const sizes = from!.map((value, i) => Math.abs(to![i]! - value));
  const least = sizes.toSorted()[Math.floor(0.99 * sizes.length)]!;
  const sparse = target.slice();
  const kept = from!.map((value, i) => (sizes[i]! >= least ? to![i]! : value));
  sparse.set(new Uint8Array(kept.buffer), 64);
  return sparse;
}

/** Accuracy on the 10 000 test images. */
async function judge(
  test: { readonly pixels: Uint8Array; readonly labels: Uint8Array },
  layout: Layout,
  seed: number,
) {
  const evaluator = createTfjsEvaluator({
    tf,
    model: createModel(tf, "mlp", seed),
    dataset: { xs: test.pixels, scale: 1 / 255, ys: test.labels, inputShape: [784] },
  });
  return async (weights: Float32Array) => {
    const { signal } = new AbortController();
    return (await evaluator.evaluate(weights, layout, signal)).accuracy ?? Number.NaN;
  };
}
