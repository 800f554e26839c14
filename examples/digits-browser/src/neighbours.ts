/** The visitor's company: a handful of Node clients, each with MNIST images of its own. */

import * as tf from "@tensorflow/tfjs";
import { createClient } from "@tributary/client-sdk";
import type { Client } from "@tributary/client-sdk";
import { createTfjsTrainer } from "@tributary/client-sdk/tfjs";
import type { LabelledImages } from "@tributary/example-digits";
import { selectExamples } from "@tributary/example-digits";

import { createDigitsModel, IMAGE_PIXELS } from "./model.ts";
import { TASK_ID } from "./task.ts";

export interface NeighboursOptions {
  readonly url: string;
  /** What the clients trust. */
  readonly publicKey: string;
  readonly count: number;
  readonly imagesEach: number;
  readonly images: LabelledImages;
  /** What went wrong and is being mended, in words. */
  readonly onTrouble: (message: string) => void;
}

/**
 * Lets them take part; all share one model and take turns at it.
 * @returns stops them
 * @throws RangeError when there are not so many images
 */
export function startNeighbours(options: NeighboursOptions): () => Promise<void> {
  const { url, publicKey, count, imagesEach, images, onTrouble } = options;
  if (count * imagesEach > images.count) {
    throw new RangeError(
      `${count} clients with ${imagesEach} images each need more than the ${images.count} images there are`,
    );
  }
  const model = createDigitsModel(tf);
  const clients = Array.from({ length: count }, (_, client): Client => {
    // MNIST's own order is of many writers mixed, so a run of it is as good as a draw.
    const indices = Array.from({ length: imagesEach }, (_, i) => client * imagesEach + i);
    const { pixels, labels } = selectExamples(images, indices);
    const trainer = createTfjsTrainer({
      tf,
      model,
      dataset: { xs: pixels, scale: 1 / 255, ys: labels, inputShape: [IMAGE_PIXELS] },
    });
    const made = createClient({ url, trust: { publicKeys: [publicKey] } });
    made
      .join(TASK_ID, { trainer })
      .on("error", ({ code, message }) => onTrouble(`client ${client + 1}: ${code}: ${message}`));
    return made;
  });
  return async () => {
    await Promise.all(clients.map((client) => client.close()));
    model.dispose();
  };
}
