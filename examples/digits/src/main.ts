/** The demo: a coordinator, hundreds of clients in a few processes, and at the end a digit that is read. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as tf from "@tensorflow/tfjs";
import type { MonitoringEvent } from "@tributary/protocol";
import { routes } from "@tributary/protocol";

import type { Budget } from "./budget.ts";
import { budgetOf, closingText, openingText } from "./budget.ts";
import { drawDigit } from "./digit-art.ts";
import { startFleetPool } from "./fleet-pool.ts";
import type { DigitsOptions } from "./options.ts";
import { parseOptions } from "./options.ts";
import { PARAMETER_COUNTS } from "./model.ts";
import { predictRequest, serveDigits } from "./serving.ts";
import type { ServedDigits } from "./serving.ts";
import { createRoundTable } from "./table.ts";
import type { Training } from "./training.ts";
import { mostProbable, openTraining } from "./training.ts";

/** Ctrl-C. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** What the run came to. */
interface Outcome {
  readonly accuracyBefore: number;
  readonly accuracy: number;
  readonly modelVersion: number;
  readonly rounds: number;
  readonly endReason: string;
  readonly seconds: number;
  /** What is promised of the model, and what that has cost; absent without privacy. */
  readonly privacy?: Budget;
}

const interruption = new AbortController();
const interrupt = () => {
  // A second Ctrl-C does not wait for the tidy end.
  if (interruption.signal.aborted) process.exit(130);
  interruption.abort(new Interrupted("interrupted"));
};
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const scratch = await mkdtemp(join(tmpdir(), "tributary-digits-"));
  try {
    return await run(options, scratch);
  } catch (error) {
    if (error instanceof Interrupted) {
      console.error("interrupted; everything is stopped");
      return 130;
    }
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function run(options: DigitsOptions, scratch: string): Promise<number> {
  const { job, json } = options;
  const say = (text: string) => {
    if (!json) console.log(text);
  };
  await using training = await openTraining({
    job,
    storage: { kind: "sqlite", directory: options.dataDir ?? join(scratch, "state") },
    port: options.port,
    backend: options.backend,
  });
  const inRound = job.privacy === undefined ? `${job.cohort}` : `about ${job.cohort}`;
  say(
    `MNIST: 60 000 images over ${job.clients} clients (${job.partition.kind}), ${inRound} in a round\n` +
      `model: ${job.model} with ${PARAMETER_COUNTS[job.model].toLocaleString("en")} parameters`,
  );
  say(`coordinator at ${training.url}, evaluating with TF.js ${training.backend}`);
  if (training.dashboardUrl !== undefined) say(`dashboard at ${training.dashboardUrl}`);
  const opening = budgetOf(await training.privacy());
  if (opening === undefined) say("without differential privacy");
  else say(`\n${openingText(opening, job.clients)}\n`);

  const outcome = await train(options, training);
  if (json) console.log(JSON.stringify({ type: "result", ...outcome }));
  const { accuracy, accuracyBefore, rounds, seconds, privacy } = outcome;
  say(
    `\naccuracy ${(100 * accuracy).toFixed(2)} % on 10 000 test images after ${rounds} rounds, ` +
      `${seconds.toFixed(0)} s of training`,
  );
  if (privacy !== undefined) say(`\n${closingText(privacy)}`);
  // A task that had ended before is only served again: it has nothing to gain any more.
  const learned = accuracy > accuracyBefore || outcome.rounds === training.roundsBefore;
  if (!learned) {
    console.error(`the model did not learn: accuracy ${accuracy}, before ${accuracyBefore}`);
  }

  await using served = await serveDigits(tf, training.url, job);
  const digit = await showPrediction(training, served, say);
  if (options.exit) return learned ? 0 : 1;
  const request = join(scratch, "digit.json");
  await writeFile(request, predictRequest(digit));
  showUrls(options, training, served, request);
  await interrupted();
  say("\nstopping");
  return learned ? 0 : 1;
}

async function train(options: DigitsOptions, training: Training): Promise<Outcome> {
  const { job, json } = options;
  const live = !json && process.stdout.isTTY;
  const table = createRoundTable({
    privacy: job.privacy !== undefined,
    live,
    write: (text) => void process.stdout.write(text),
  });
  const trouble = (message: string) => {
    if (json) console.error(message);
    else table.note(`! ${message}`);
  };
  const startedAt = performance.now();
  const show = async (event: MonitoringEvent) => {
    const ended = event.type === "round:phaseChanged" && event.data.endedAt !== undefined;
    const budget = ended ? budgetOf(await training.privacy()) : undefined;
    if (!json) table.observe(event, budget);
    else if (ended) {
      const { maxEpsilon, roundsLeft } = budget ?? {};
      console.log(JSON.stringify({ type: "round", ...event.data, maxEpsilon, roundsLeft }));
    }
  };
  // One after the other: the line of a round waits for what is left of its budget.
  let shown = Promise.resolve();
  const watching = training.watch((event) => {
    shown = shown.then(() => show(event)).catch((error: unknown) => trouble(String(error)));
  });
  const failure = new AbortController();
  const fleets = await startFleetPool({
    job,
    url: training.url,
    backend: options.backend,
    processes: options.processes,
    onTrouble: trouble,
  });
  try {
    void fleets.lost.then(() => failure.abort(new Error("every fleet process has ended")));
    if (!json) {
      const where = options.processes === 0 ? "this process" : `${options.processes} processes`;
      console.log(`${fleets.clients} clients in ${where}, training with TF.js ${fleets.backend}\n`);
      table.initial(training.lastRound, training.before);
    }
    const task = await training.ended(AbortSignal.any([interruption.signal, failure.signal]));
    const privacy = budgetOf(await training.privacy());
    return {
      accuracyBefore: training.before.accuracy ?? 0,
      accuracy: task.evaluation?.accuracy ?? 0,
      modelVersion: task.checkpoint.modelVersion,
      rounds: task.roundsCommitted,
      endReason: task.endReason,
      seconds: (performance.now() - startedAt) / 1000,
      ...(privacy === undefined ? {} : { privacy }),
    };
  } finally {
    watching.unsubscribe();
    await shown;
    table.end();
    await fleets.close();
  }
}

/** Asks the served model for a test image. @returns its pixels */
async function showPrediction(
  { test }: Training,
  served: ServedDigits,
  say: (text: string) => void,
): Promise<Uint8Array> {
  const index = Math.floor(Math.random() * test.count);
  const pixels = test.pixels.subarray(index * 784, (index + 1) * 784);
  const probabilities = await served.classify(pixels);
  const digit = mostProbable(probabilities);
  say(`\nTest image ${index}:\n`);
  for (const row of drawDigit(pixels)) say(row);
  say(
    `\nPOST ${served.predictUrl}\n` +
      `model version ${served.modelVersion() ?? "?"} answers: ${digit} ` +
      `(${(100 * (probabilities[digit] ?? 0)).toFixed(1)} %); it is a ${test.labels[index] ?? "?"}`,
  );
  return pixels;
}

function showUrls(
  { job, json }: DigitsOptions,
  { url, dashboardUrl }: Training,
  { predictUrl }: ServedDigits,
  request: string,
): void {
  const taskId = job.taskId;
  const urls = {
    ...(dashboardUrl === undefined ? {} : { dashboard: dashboardUrl }),
    task: url + routes.task.path({ taskId }),
    rounds: url + routes.rounds.path({ taskId }),
    metrics: url + routes.metrics.path(),
    openapi: url + routes.openapi.path(),
    predict: predictUrl,
  };
  if (json) {
    console.log(JSON.stringify({ type: "urls", ...urls }));
    return;
  }
  console.log("\nStill up:");
  for (const [name, address] of Object.entries(urls)) console.log(`  ${name.padEnd(9)} ${address}`);
  console.log(`\n  curl -d @${request} ${predictUrl}\n\nCtrl-C stops.`);
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    if (interruption.signal.aborted) resolve();
    else interruption.signal.addEventListener("abort", () => resolve());
    // The listening servers keep the process alive.
  });
}

process.exitCode = await main();
