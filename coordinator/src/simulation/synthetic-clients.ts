/**
 * Clients without data: a problem of least squares that is made from the seed, of whatever size the task's model has.
 * It tells how schedule, drop-outs, bytes and noise play together, and nothing of how well anybody's model will learn.
 *
 *     client i:  f_i(w) = |w - t_i|^2 / 2,   t_i = t + h D u_i,   t = D u,   u and u_i random, of about unit norm
 *
 * A client's gradients are noisy as those of batches are, of standard deviation s D in all, over sqrt(batchSize). Of
 * such a problem n steps of SGD have a closed form, which is drawn from at once: w_n - c = r^n (w_0 - c) + noise with
 * r = 1 - learningRate (1 + mu), FedProx included. Other client optimizers are run as plain SGD.
 */

import type { TrainingPlan } from "@tributary/protocol";

import type { Evaluator } from "../ports.ts";
import type {
  ClientPopulation,
  PopulationSettings,
  PopulationSource,
  SimulatedTrainer,
} from "./population.ts";
import { drawsOf, seedFor } from "./seeded.ts";

export interface SyntheticOptions {
  readonly clients: number;
  /** h: how far clients are apart, as a share of the way D that there is to go. Default 0.5. */
  readonly heterogeneity?: number;
  /** s: noise of one example's gradient, as a share of D. Default 2. */
  readonly gradientNoise?: number;
  /**
   * D: L2 distance of the solution from a model of zeros. Default: 4 clipping norms where the task clips, else 1. Only
   * clipping and privacy can tell one from another.
   */
  readonly distance?: number;
  /** Median of the examples that a client has, log-normal with 0.5. Default 100. */
  readonly examples?: number;
}

/** Of a vector of so many elements each, normal ones, the norm is about 1. */
const perElement = (parameterCount: number) => 1 / Math.sqrt(parameterCount);

/** Makes clients that need no module; in a thread they are made anew from the same numbers. */
export function syntheticClients(options: SyntheticOptions): PopulationSource {
  return (settings) => createSyntheticPopulation(options, settings);
}

export function createSyntheticPopulation(
  { clients, heterogeneity = 0.5, gradientNoise = 2, examples = 100, ...rest }: SyntheticOptions,
  { seed, task, layout }: PopulationSettings,
): ClientPopulation {
  const { parameterCount } = layout;
  const distance = rest.distance ?? 4 * (task.clippingNorm ?? 0.25);
  const unit = distance * perElement(parameterCount);
  const target = new Float32Array(parameterCount);
  const { normal } = drawsOf(seedFor(seed, "target"));
  for (let i = 0; i < parameterCount; i++) target[i] = unit * normal();

  const trainer = (client: number): SimulatedTrainer => {
    const size = drawsOf(seedFor(seed, "size", client));
    const numExamples = Math.max(1, Math.round(examples * Math.exp(0.5 * size.normal())));
    return {
      train: async ({ weights, plan }) => {
        const used = Math.min(numExamples, plan.maxExamples ?? numExamples);
        const { decay, shrink, noise } = closedForm(plan, used);
        const offsets = drawsOf(seedFor(seed, "offset", client));
        const gradients = drawsOf(seedFor(plan.seed ?? seed, "gradient", client));
        const apart = heterogeneity * unit;
        const jitter = (gradientNoise * noise * unit) / Math.sqrt(plan.batchSize);
        let squares = 0;
        for (let i = 0; i < parameterCount; i++) {
          const received = weights[i] as number;
          const solution = (target[i] as number) + apart * offsets.normal();
          // With the proximal term the way ends before the client's own solution.
          const end = received + shrink * (solution - received);
          const trained = end + decay * (received - end) + jitter * gradients.normal();
          weights[i] = trained;
          squares += (trained - solution) ** 2;
        }
        const trainLoss = squares / 2 / (distance * distance);
        return { weights, numExamples: used, metrics: { trainLoss } };
      },
    };
  };

  /** 1/2 for a model of zeros, 0 at the solution: half the squared distance from it, in D. */
  const evaluator: Evaluator = {
    evaluate: async (weights) => {
      let squares = 0;
      for (let i = 0; i < parameterCount; i++) {
        squares += ((weights[i] as number) - (target[i] as number)) ** 2;
      }
      return { source: "central", numExamples: 1, loss: squares / 2 / (distance * distance) };
    },
  };
  return { size: clients, trainer, evaluator };
}

/** What all steps of a training come to. */
function closedForm(plan: TrainingPlan, examples: number) {
  const { epochs, batchSize, learningRate, proximalMu } = plan;
  const steps = epochs * Math.ceil(examples / batchSize);
  // A step beyond 2 would diverge, as on any problem of this curvature.
  const rate = 1 - learningRate * (1 + proximalMu);
  const decay = rate ** steps;
  // The noise of steps adds up: learningRate^2 (1 + r^2 + r^4 + …).
  const squared = rate * rate;
  const terms = squared === 1 ? steps : (1 - squared ** steps) / (1 - squared);
  return { decay, shrink: 1 / (1 + proximalMu), noise: learningRate * Math.sqrt(terms) };
}
