import { createClient, createClientKey } from "@tributary/client-sdk";
import { createFileFeedback } from "@tributary/client-sdk/node";
import { participateOnce } from "@tributary/client-sdk/one-shot";
import type { Encoding, TaskId, TaskSpecInput } from "@tributary/protocol";
import { decodeCheckpoint, encodePayload, frameUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { connectRaw } from "../support/raw-client.ts";
import { countingTrainer } from "../support/trainers.ts";

const TASK = "small" as TaskId;

const taskWith = (plan: TaskSpecInput["plan"]): TaskSpecInput =>
  smallTask({ plan: plan ?? {}, weighting: { kind: "uniform" }, stop: { maxRounds: 2 } });

async function weightsOf({ coordinator }: RunningCoordinator): Promise<number[]> {
  const { digest } = await coordinator.models.get(TASK, "latest");
  const { layout } = await coordinator.tasks.get(TASK);
  const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
  return [...weights].map((weight) => Number(weight.toFixed(5)));
}

const all = Array<number>(7);
const cases: readonly [TaskSpecInput["plan"], number[]][] = [
  [{ encoding: { kind: "bfloat16" } }, all.fill(2)],
  [{ encoding: { kind: "int8" }, compression: "brotli", seed: 1 }, all],
  [{ encoding: { kind: "int4" }, seed: 1 }, all],
  // Four of seven ones first; then, on top of the three that were left, the twos and the first of the ones.
  [{ encoding: { kind: "topK", fraction: 0.5, values: "float32" } }, [2, 1, 1, 1, 2, 2, 2]],
  [{ encoding: { kind: "randomK", fraction: 1, values: "float32", feedback: false } }, all],
];

test.each(cases)(
  "[EC6] two rounds of real clients move the model by what %j means",
  async (plan, expected) => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(taskWith(plan));
    const clients = [1, 2].map(() => createClient({ url: running.url }));
    const participants = clients.map((client) => client.join(TASK, { trainer: countingTrainer() }));
    const ends = await Promise.all(participants.map(({ done }) => done));
    expect(ends.map(({ reason }) => reason)).toEqual(["taskEnded", "taskEnded"]);
    expect(await weightsOf(running)).toEqual(expected);
    await Promise.all(clients.map((client) => client.close()));
  },
);

test("[EC9] what one run left out goes with the next one's, from a file, though nothing else is left of the first", async () => {
  await using folder = await temporaryFolder();
  await using running = await startCoordinator();
  const encoding = { kind: "topK", fraction: 0.5, values: "float32" } as const;
  const schedule = { minClients: 1, minReports: 1 };
  await running.coordinator.tasks.create({ ...taskWith({ encoding }), ...{ schedule } });
  const clientKey = createClientKey();
  for (const round of [1, 2]) {
    const { outcome } = await participateOnce({
      ...{ url: running.url, taskId: TASK, trainer: countingTrainer(), clientKey },
      feedback: createFileFeedback({ directory: folder.path }),
    });
    expect(outcome).toBe("reported");
    await running.roundEnded(round);
  }
  expect(await weightsOf(running)).toEqual([2, 1, 1, 1, 2, 2, 2]);
});

test("[EC6] an update of another encoding than the plan's, or another share, is refused, and the round goes on", async () => {
  await using running = await startCoordinator();
  const encoding = { kind: "topK", fraction: 0.5, values: "float32", feedback: false } as const;
  await running.coordinator.tasks.create(taskWith({ encoding }));
  await using honest = await connectRaw(running.url);
  await using hostile = await connectRaw(running.url);
  const [{ task }] = await Promise.all([honest.checkIn(TASK), hostile.checkIn(TASK)]);
  const [mine, theirs] = await Promise.all([honest.nextAssignment(), hostile.nextAssignment()]);
  const frame = (format: Encoding) =>
    frameUpdate(task.layout, {
      ...{ format, numExamples: 1, metrics: {} },
      payload: encodePayload(format, new Float32Array(7).fill(1), (bits) => bits.fill(0)),
    });
  const refused = async (format: Encoding) => {
    const { status, body } = await hostile.put(theirs, frame(format));
    return [status, body.code];
  };
  for (const kind of ["float32", "bfloat16", "int8", "int4"] as const) {
    expect(await refused({ kind })).toEqual([422, "UPDATE_ENCODING_MISMATCH"]);
  }
  for (const other of [{ values: "int4" }, { kind: "randomK" }] as const) {
    expect(await refused({ ...encoding, ...other })).toEqual([422, "UPDATE_ENCODING_MISMATCH"]);
  }
  expect(await refused({ ...encoding, fraction: 0.2 })).toEqual([400, "MALFORMED_MESSAGE"]);
  for (const [client, place] of [
    [honest, mine],
    [hostile, theirs],
  ] as const) {
    expect((await client.put(place, frame(encoding))).status).toBe(200);
  }
  expect(await running.roundEnded(1)).toMatchObject({
    ...{ phase: "committed", participants: { reported: 2 } },
  });
  expect(await weightsOf(running)).toEqual([1, 1, 1, 1, 0, 0, 0]);
});
