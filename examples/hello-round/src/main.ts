/**
 * One coordinator and three clients in one process, without TensorFlow.js: each client knows a few
 * points near the line y = 3x + 2 and shows them to nobody; together they find the line.
 */

import type { Trainer } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import { createCoordinator } from "@tributary/coordinator";

/** Least squares by gradient descent on the weights [slope, intercept]. */
function lineTrainer(points: readonly (readonly [x: number, y: number])[]): Trainer {
  return {
    train: async ({ weights, plan, signal }) => {
      let [slope, intercept] = weights as unknown as [number, number];
      let trainLoss = 0;
      for (let epoch = 0; epoch < plan.epochs; epoch++) {
        signal.throwIfAborted();
        trainLoss = 0;
        for (const [x, y] of points) {
          const error = slope * x + intercept - y;
          slope -= plan.learningRate * error * x;
          intercept -= plan.learningRate * error;
          trainLoss += error ** 2 / 2 / points.length;
        }
      }
      const numExamples = points.length;
      return { weights: Float32Array.of(slope, intercept), numExamples, metrics: { trainLoss } };
    },
  };
}

const coordinator = await createCoordinator({
  config: { server: { port: 0 }, storage: { kind: "memory" }, log: { level: "warn" } },
});
await coordinator.tasks.create({
  taskId: "line",
  model: { tensors: [{ name: "line", shape: [2] }] },
  plan: { epochs: 10, learningRate: 0.05 },
  sampler: { kind: "all" },
  schedule: { minClients: 3 },
  stop: { maxRounds: 10 },
});
const { url } = await coordinator.listen();
coordinator.events.subscribe(({ type, data }) => {
  if (type !== "round:phaseChanged" || data.phase !== "committed") return;
  const { roundNumber, participants, trainLoss } = data;
  console.log(
    `round ${roundNumber}: ${participants?.reported ?? "?"} clients, loss ${trainLoss?.toExponential(2)}`,
  );
});

// An app elsewhere has this key from its operator (`tributary keys list`), not from the connection.
const trust = { publicKeys: [coordinator.keys.publicKey] };

const clients = [-1, 0, 1].map((shift) => {
  const client = createClient({ url, trust });
  const points = [-1, -0.5, 0, 0.5, 1].map((x) => [x + shift, 3 * (x + shift) + 2] as const);
  return { client, participant: client.join("line", { trainer: lineTrainer(points) }) };
});
await Promise.all(clients.map(({ participant }) => participant.done));

const predictor = {
  load: async ([slope, intercept]: Float32Array) => ({
    predict: async (x: number) => Number(slope) * x + Number(intercept),
    dispose: () => undefined,
  }),
};
await using reader = createClient({ url, trust });
const line = reader.model("line", { predictor });
await line.ready;
console.log(
  `version ${line.version} says: 10 -> ${(await line.predict(10)).toFixed(3)} (3 * 10 + 2 = 32)`,
);

await Promise.all(clients.map(({ client }) => client.close()));
await reader.close();
await coordinator.close();
