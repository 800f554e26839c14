import { fileURLToPath } from "node:url";

import * as tf from "@tensorflow/tfjs";
import { describeModel } from "@tributary/client-sdk/tfjs";
import { simulate } from "@tributary/coordinator/simulation";
import { expect, test } from "vitest";

import { prepareBackend } from "./backend.ts";
import { createModel } from "./model.ts";
import { schedules, tuningTask, UNRELIABLE } from "./tuning.ts";

test("[EX19] digits are tuned by simulation: real images in a thread, unreliable clients, a report to compare", async () => {
  await prepareBackend(tf);
  const { tensors } = await describeModel(createModel(tf, "mlp", 1));
  const [schedule] = schedules;
  if (schedule === undefined) throw new Error("there is nothing to compare");
  const { report } = await simulate({
    task: tuningTask(tensors, schedule, 2),
    clients: {
      kind: "module",
      file: fileURLToPath(new URL("./simulated-clients.ts", import.meta.url)),
    },
    behaviour: UNRELIABLE,
  });
  expect(report.clients).toBe(200);
  expect(report.failures).toBeUndefined();
  expect(report.totals.committed).toBe(2);
  // Two rounds of ten clients, from a guess of one in ten.
  expect(report.evaluation?.accuracy).toBeGreaterThan(0.3);
});
