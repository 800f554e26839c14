/**
 * Tunes the schedule of a digits task before anything is deployed: the same clients, unreliable and of different speed,
 * under several schedules, in virtual time. `node examples/digits/dist/tune.js [rounds]`
 */

import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

import * as tf from "@tensorflow/tfjs";
import { describeModel } from "@tributary/client-sdk/tfjs";
import { simulate } from "@tributary/coordinator/simulation";

import { createModel } from "./model.ts";
import { schedules, tuningTask, UNRELIABLE } from "./tuning.ts";

const rounds = Number(process.argv[2] ?? 10);
tf.env().set("PROD", true);
const { tensors } = await describeModel(createModel(tf, "mlp", 1));
// A module, so that each thread has its own TF.js.
const file = fileURLToPath(new URL("./simulated-clients.js", import.meta.url));

const COLUMNS = ["schedule", "accuracy", "rounds", "lost", "virtual", "trained", "wasted", "MB up"];
const line = (cells: readonly string[]) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(38) : cell.padStart(9))).join("");
console.log(line(COLUMNS));
for (const { name, ...schedule } of schedules) {
  const { report } = await simulate({
    task: tuningTask(tensors, schedule, rounds),
    clients: { kind: "module", file },
    behaviour: UNRELIABLE,
    threads: availableParallelism(),
  });
  const { totals, evaluation } = report;
  const { selected, reported } = totals.participants;
  console.log(
    line([
      name,
      `${(100 * (evaluation?.accuracy ?? 0)).toFixed(2)} %`,
      `${totals.committed}`,
      `${totals.abandoned}`,
      `${(totals.virtualMs / 60_000).toFixed(1)} min`,
      `${selected}`,
      `${(100 * (1 - reported / selected)).toFixed(0)} %`,
      (totals.bytesUp / 1e6).toFixed(1),
    ]),
  );
}
