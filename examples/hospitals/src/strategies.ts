/** The strategies that are compared, with the settings FLamby's benchmark of Fed-Heart-Disease used. */

import type { ServerOptimizerSpec } from "@tributary/protocol";

export interface Strategy {
  readonly name: string;
  /** Step size of the hospitals' SGD. */
  readonly learningRate: number;
  readonly proximalMu: number;
  readonly serverOptimizer: ServerOptimizerSpec;
  /** Mean accuracy over hospitals in Ogier du Terrail et al. 2022; absent where they have none. */
  readonly published?: number;
}

const FED_AVG: ServerOptimizerSpec = { kind: "sgd", learningRate: 1 };
/** Reddi et al. 2020 with FLamby's degree of adaptivity. */
const ADAPTIVE = { beta1: 0.9, beta2: 0.999, tau: 1e-8 } as const;

export const STRATEGIES: readonly Strategy[] = [
  {
    name: "FedAvg",
    learningRate: 0.001,
    proximalMu: 0,
    serverOptimizer: FED_AVG,
    published: 0.685,
  },
  {
    name: "FedProx",
    learningRate: 0.001,
    proximalMu: 0.01,
    serverOptimizer: FED_AVG,
    published: 0.685,
  },
  {
    // Not in FLamby; the usual momentum on FedAvg's setting.
    name: "FedAvgM",
    learningRate: 0.001,
    proximalMu: 0,
    serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.9 },
  },
  {
    name: "FedAdam",
    learningRate: 0.01,
    proximalMu: 0,
    serverOptimizer: { kind: "adam", learningRate: 0.01, ...ADAPTIVE },
    published: 0.726,
  },
  {
    name: "FedYogi",
    learningRate: 0.003162,
    proximalMu: 0,
    serverOptimizer: { kind: "yogi", learningRate: 0.01, ...ADAPTIVE },
    published: 0.731,
  },
  {
    name: "FedAdagrad",
    learningRate: 0.003162,
    proximalMu: 0,
    serverOptimizer: { kind: "adagrad", learningRate: 0.316228, beta1: 0.9, tau: 1e-8 },
    published: 0.731,
  },
];

/** FLamby's schedule: 50 pooled epochs' worth of steps, 100 local ones in each of 15 rounds. */
export const SCHEDULE = { rounds: 15, steps: 100, batchSize: 4 } as const;

/** FLamby's training of one model without federation: Adam. */
export const CENTRAL_PLAN = { epochs: 50, batchSize: 4, learningRate: 0.001 } as const;
export const PUBLISHED_POOLED = 0.735;

/** The seeds of FLamby's runs; figures are means over them. */
export const SEEDS: readonly number[] = [42, 43, 44, 45, 46];
