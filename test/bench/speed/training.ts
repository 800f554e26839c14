/** Examples that a client in Node trains in a second of CPU time, by model and backend of TensorFlow.js. */

import type { Measured } from "./measure.ts";
import { mapSpread, takeTurns } from "./measure.ts";
import type { Reference } from "./reference-process.ts";
import { startNode } from "./reference-process.ts";
import type { Row, Section } from "./section.ts";
import type { TrainingCase } from "./training-backend.ts";

const TRAINING_BACKEND = new URL("./training-backend.ts", import.meta.url);

/** About half a second each, where that can be. */
const CASES: readonly TrainingCase[] = [
  { backend: "tensorflow", model: "mlp", batchSize: 32, examples: 6_400 },
  { backend: "wasm", model: "mlp", batchSize: 32, examples: 6_400 },
  { backend: "stock wasm", model: "mlp", batchSize: 32, examples: 1_920 },
  { backend: "cpu", model: "mlp", batchSize: 32, examples: 320 },
  { backend: "tensorflow", model: "cnn", batchSize: 32, examples: 128 },
  { backend: "wasm", model: "cnn", batchSize: 32, examples: 128 },
  { backend: "stock wasm", model: "cnn", batchSize: 32, examples: 32 },
  // Two seconds an example.
  { backend: "cpu", model: "cnn", batchSize: 32, examples: 1 },
];

const NAMES: Readonly<Record<TrainingCase["backend"], string>> = {
  tensorflow: "tfjs-node",
  wasm: "wasm with Tributary's kernels",
  "stock wasm": "wasm as it comes",
  cpu: "cpu",
};

export const trainingSection: Section = {
  name: "training",
  title: "Training in Node",
  run: async (mini) => {
    const rows: Row[] = [];
    for (const model of mini ? (["mlp"] as const) : (["mlp", "cnn"] as const)) {
      const cases = CASES.filter((one) => one.model === model && (!mini || one.backend === "wasm"));
      rows.push(...(await measureModel(mini ? cases.map(small) : cases, mini ? 1 : 3)));
    }
    return {
      rows,
      notes: [
        "mlp is 784-200-200-10, cnn McMahan's CNN for MNIST with 1.66 M parameters, both of examples/digits; SGD, batches of 32, through the trainer of the SDK. Backends take turns, each in a process of its own.",
        "References are TensorFlow.js without the kernels that `chooseBackend` registers.",
      ],
    };
  },
};

const small = (one: TrainingCase): TrainingCase => ({ ...one, examples: 2, batchSize: 2 });

async function measureModel(cases: readonly TrainingCase[], runs: number): Promise<Row[]> {
  const started: { readonly of: TrainingCase; readonly process: Reference }[] = [];
  const rows = new Map<TrainingCase, Row["values"]>();
  try {
    for (const one of cases) {
      const process = await startNode(TRAINING_BACKEND, [JSON.stringify(one)]);
      if (process === undefined) {
        rows.set(one, { [CPU_RATE]: "not here" });
        continue;
      }
      started.push({ of: one, process });
    }
    const trains: typeof started = [];
    for (const one of started) {
      // The first turn tells whether it can.
      const canTrain = await one.process.turn().then(
        () => true,
        () => false,
      );
      if (canTrain) trains.push(one);
      else rows.set(one.of, { [CPU_RATE]: "throws" });
    }
    const turns = trains.map(({ of, process }) => [of.backend, () => process.turn()]);
    const measured: Partial<Record<string, Measured>> = await takeTurns(
      runs,
      Object.fromEntries(turns) as Record<string, Reference["turn"]>,
    );
    for (const { of } of trains) {
      const times = measured[of.backend];
      if (times !== undefined) rows.set(of, ratesOf(of, times));
    }
  } finally {
    for (const { process } of started) await process[Symbol.asyncDispose]();
  }
  return cases.map((one) => ({
    name: `${one.model}, ${NAMES[one.backend]}`,
    isReference: one.backend === "stock wasm" || one.backend === "cpu",
    values: rows.get(one) ?? {},
  }));
}

const CPU_RATE = "examples/s CPU";

const ratesOf = ({ examples }: TrainingCase, { cpuMs, wallMs }: Measured): Row["values"] => ({
  [CPU_RATE]: mapSpread(cpuMs, (ms) => (1e3 * examples) / ms),
  "examples/s": mapSpread(wallMs, (ms) => (1e3 * examples) / ms),
});
