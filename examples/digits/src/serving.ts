/** A client that serves: holds the newest published model and answers over HTTP. */

import type * as tensorflow from "@tensorflow/tfjs";
import { createClient } from "@tributary/client-sdk";
import { servable, servingPlugin } from "@tributary/client-sdk/node";
import { createTfjsPredictor } from "@tributary/client-sdk/tfjs";
import Fastify from "fastify";

import { IMAGE_PIXELS } from "./data.ts";
import type { DigitsJob } from "./job.ts";
import { createModel } from "./model.ts";

export interface ServedDigits extends AsyncDisposable {
  /** Where predictions are answered, as TensorFlow Serving would. */
  readonly predictUrl: string;
  readonly modelVersion: () => number | undefined;
  /** Asks by HTTP, like any other program. @returns probability of each digit @throws Error when refused */
  classify(pixels: Uint8Array): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Name of the model in the URL. */
const MODEL = "digits";

/** Starts serving the task's newest version on a free port of the loopback interface. */
export async function serveDigits(
  tf: typeof tensorflow,
  coordinatorUrl: string,
  job: DigitsJob,
): Promise<ServedDigits> {
  const client = createClient({ url: coordinatorUrl });
  const app = Fastify({ forceCloseConnections: true });
  const close = async () => {
    await app.close();
    await client.close();
  };
  try {
    const predictor = createTfjsPredictor({
      tf,
      model: () => createModel(tf, job.model, job.seed),
    });
    const model = client.model(job.taskId, { predictor });
    await model.ready;
    const digits = servable(model, {
      inputShape: [IMAGE_PIXELS],
      toInput: (batch) => batch.values,
    });
    await app.register(servingPlugin, { models: { [MODEL]: digits } });
    const origin = await app.listen({ host: "127.0.0.1", port: 0 });
    const predictUrl = `${origin}/v1/models/${MODEL}:predict`;
    return {
      predictUrl,
      modelVersion: () => model.version,
      classify: (pixels) => askOverHttp(predictUrl, pixels),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The request as `curl -d` would send it. Pixels in [0, 1]. */
export function predictRequest(pixels: Uint8Array): string {
  return JSON.stringify({ instances: [Array.from(pixels, (value) => value / 255)] });
}

async function askOverHttp(url: string, pixels: Uint8Array): Promise<readonly number[]> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: predictRequest(pixels),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 200)}`);
  const { predictions } = JSON.parse(text) as { readonly predictions: readonly number[][] };
  const [probabilities] = predictions;
  if (probabilities === undefined) throw new Error(`${url} answered without a prediction`);
  return probabilities;
}
