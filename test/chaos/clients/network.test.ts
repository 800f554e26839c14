import { createClient } from "@tributary/client-sdk";
import type { RoundResource } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Faults } from "../../support/chaos-proxy.ts";
import { startChaosProxy } from "../../support/chaos-proxy.ts";
import { smallTask } from "../../support/coordinator.ts";
import { startCoordinatorProcess } from "../../support/coordinator-process.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { membersOf, shareOf } from "../../support/whole-sum.ts";

const TASK = smallTask({
  schedule: { minClients: 4, minReports: 2, selectionDeadlineMs: 2_000, reportWindowMs: 4_000 },
  stop: { maxRounds: 8 },
});
const CLIENTS = 6;

const FAULTS: Faults = {
  delayMs: 30,
  holdBackMs: 60,
  cut: 0.15,
  halfOpen: 0.1,
  corrupt: 0.4,
  duplicate: 0.3,
};

test("[AT5] over a network that delays, cuts, truncates, doubles, reorders and flips bits, rounds complete and each report counts once", async () => {
  await using folder = await temporaryFolder();
  await using running = await startCoordinatorProcess({
    directory: folder.path,
    tasks: [TASK],
    config: { timing: { abandonedRetryMs: 50, disconnectGraceMs: 2_000 } },
  });
  await using network = await startChaosProxy(running.url, FAULTS, 20_261_125);
  /** "client round" -> trainings. */
  const trainings = new Map<string, number>();
  const receipts: { readonly index: number; readonly roundNumber: number }[] = [];
  const clients = Array.from({ length: CLIENTS }, (_, index) => {
    const client = createClient({
      url: network.url,
      backoff: { baseMs: 10, maxMs: 200 },
      ackTimeoutMs: 1_500,
      requestTimeoutMs: 1_500,
    });
    let roundId = "";
    const participant = client.join(TASK.taskId, {
      trainer: {
        train: async ({ weights }) => {
          const key = `${index} ${roundId}`;
          trainings.set(key, (trainings.get(key) ?? 0) + 1);
          return { weights: weights.map((w) => w + shareOf(index)), numExamples: 1, metrics: {} };
        },
      },
    });
    participant.on("assigned", (offer) => {
      roundId = offer.roundId;
    });
    participant.on("reported", (receipt) => {
      receipts.push({ index, roundNumber: Number(receipt.roundId.split(".")[1]) });
    });
    return { client, participant };
  });

  const ends = await Promise.all(clients.map(({ participant }) => participant.done));
  for (const end of ends) expect(end).toMatchObject({ reason: "taskEnded" });
  await Promise.all(clients.map(({ client }) => client.close()));

  const rounds = await running.rounds(TASK.taskId);
  const committed = rounds
    .filter(
      (round): round is RoundResource & { modelVersion: number } => round.phase === "committed",
    )
    .sort((a, b) => a.modelVersion - b.modelVersion);
  expect(committed).toHaveLength(8);
  for (const round of committed) {
    const members = membersOf(
      round,
      await running.weights(TASK, round.modelVersion - 1),
      await running.weights(TASK, round.modelVersion),
    );
    for (const { index, roundNumber } of receipts) {
      if (roundNumber === round.roundNumber) expect(members).toContain(index);
    }
  }
  // A training that was called off with its round is not begun again in the same round.
  expect([...trainings.values()].filter((times) => times > 1)).toEqual([]);
  for (const [fault, times] of Object.entries(network.done)) {
    expect(times, `${fault} happened`).toBeGreaterThan(0);
  }
  expect(running.isAlive()).toBe(true);
});
