/** The whole of it in one process: a coordinator, the page on an origin of its own, and the visitor's company. */

import { fileURLToPath } from "node:url";

import * as tf from "@tensorflow/tfjs";
import { chooseBackend } from "@tributary/client-sdk/node";
import { describeModel } from "@tributary/client-sdk/tfjs";
import type { Coordinator } from "@tributary/coordinator";
import { createCoordinator } from "@tributary/coordinator";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import type { LabelledImages } from "@tributary/example-digits";
import { loadMnist } from "@tributary/example-digits";
import { parseTaskId } from "@tributary/protocol";

import { createDigitsModel, IMAGE_PIXELS } from "./model.ts";
import { startNeighbours } from "./neighbours.ts";
import type { PageServer } from "./page-server.ts";
import { startPageServer } from "./page-server.ts";
import type { RoundOptions } from "./task.ts";
import { createDigitsTask, EVALUATOR, TASK_ID } from "./task.ts";

export interface DemoOptions extends RoundOptions {
  /** Port of the page; 0 is any free one. */
  readonly port: number;
  readonly coordinatorPort: number;
  readonly imagesEach: number;
  /** Images of MNIST's 10 000 that the coordinator judges a version by. Default 2 000: to about half a percent. */
  readonly testImages?: number;
  /** Where the coordinator keeps its state; in memory where absent. */
  readonly dataDir?: string;
  /** The built page, where it is not the one beside this file. */
  readonly pageDirectory?: string;
  /** What went wrong and is being mended, in words. */
  readonly onTrouble?: (message: string) => void;
}

export interface Demo extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly coordinatorUrl: string;
  readonly pageUrl: string;
  close(): Promise<void>;
}

/** @throws Error when a port is taken, RangeError when there are too few images */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { onTrouble = () => {} } = options;
  // TF.js greets whoever runs it in Node, on every start.
  tf.env().set("PROD", true);
  await chooseBackend({ tf });
  const { train, test } = await loadMnist();
  const directory =
    options.pageDirectory ?? fileURLToPath(new URL("../dist/page", import.meta.url));
  const page = await startPageServer(directory, options.port);
  const closing: (() => Promise<unknown>)[] = [() => page.close()];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const coordinator = await openCoordinator(options, page, test);
    closing.push(() => coordinator.close());
    const { url } = await coordinator.listen();
    const publicKey = coordinator.keys.publicKey;
    const { neighbours: count, imagesEach } = options;
    closing.push(startNeighbours({ url, publicKey, count, imagesEach, images: train, onTrouble }));
    page.open({ coordinatorUrl: url, taskId: TASK_ID, publicKey });
    return {
      coordinator,
      coordinatorUrl: url,
      pageUrl: `${page.origins[0] ?? ""}/`,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openCoordinator(
  options: DemoOptions,
  page: PageServer,
  test: LabelledImages,
): Promise<Coordinator> {
  const { coordinatorPort, dataDir, testImages = 2_000 } = options;
  const model = createDigitsModel(tf);
  const { tensors, initialWeights } = await describeModel(model);
  const evaluator = createTfjsEvaluator({
    tf,
    model,
    dataset: {
      xs: test.pixels.subarray(0, testImages * IMAGE_PIXELS),
      scale: 1 / 255,
      ys: test.labels.subarray(0, testImages),
      inputShape: [IMAGE_PIXELS],
    },
  });
  const coordinator = await createCoordinator({
    config: {
      server: { port: coordinatorPort, allowedOrigins: [...page.origins] },
      storage: dataDir === undefined ? { kind: "memory" } : { kind: "sqlite", directory: dataDir },
      log: { level: "error" },
    },
    evaluators: { [EVALUATOR]: evaluator },
  });
  const known = await coordinator.tasks.list();
  if (!known.some(({ taskId }) => taskId === parseTaskId(TASK_ID))) {
    await coordinator.tasks.create(createDigitsTask(options, tensors), initialWeights);
  }
  return coordinator;
}
