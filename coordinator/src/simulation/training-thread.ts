/** A thread in which virtual clients train: makes the clients once, then trains one after another. */

import { parentPort } from "node:worker_threads";

import { createSeededUniform } from "../round/sampler.ts";
import { importClients } from "./import-clients.ts";
import type { ClientPopulation, PopulationSettings } from "./population.ts";
import { makePopulation, populationOf } from "./population.ts";
import { seedFor } from "./seeded.ts";
import { syntheticClients } from "./synthetic-clients.ts";
import type { Trainees } from "./trainee.ts";
import { createTrainees, failureOf } from "./trainee.ts";
import type { PopulationOrigin, TrainingAnswer, TrainingQuestion } from "./training-messages.ts";

if (parentPort === null) throw new Error("clients are trained in a thread");
const port = parentPort;
const never = new AbortController().signal;
let trainees: Trainees | undefined;
let seed = 0;

async function make(
  origin: PopulationOrigin,
  settings: PopulationSettings,
): Promise<ClientPopulation> {
  if (origin.kind === "synthetic")
    return makePopulation(syntheticClients(origin.options), settings);
  return populationOf(origin.file, await importClients(origin.file), settings);
}

/** Nobody but clients runs here: whatever they draw without a seed of their own, they draw again the next time. */
function seedAmbient(...of: readonly number[]): void {
  const { next } = createSeededUniform(seedFor(seed, "ambient", ...of));
  Math.random = next;
}

async function answer(question: TrainingQuestion): Promise<TrainingAnswer> {
  if (question.kind === "make") {
    ({ seed } = question.settings);
    seedAmbient();
    const population = await make(question.origin, question.settings);
    trainees = createTrainees(population, question.settings, never);
    return { kind: "made", facts: trainees.facts };
  }
  if (trainees === undefined) throw new Error("the clients are not made yet");
  if (question.kind === "train") seedAmbient(question.client, question.roundNumber);
  return trainees.answer(question);
}

/** One after another: the next question may lie here already, so that the thread need not wait for it. */
let last: Promise<void> = Promise.resolve();

port.on("message", (question: TrainingQuestion) => {
  last = last.then(async () => {
    const given = await answer(question).catch(failureOf);
    const moved =
      given.kind !== "trained"
        ? []
        : given.rest === undefined
          ? [given.frame.buffer]
          : [given.frame.buffer, given.rest.buffer];
    port.postMessage({ answer: given }, moved);
  });
});
