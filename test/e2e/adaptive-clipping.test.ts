import { createClient } from "@tributary/client-sdk";
import type { Assignment, PrivacyResource, TaskId, TaskSpecInput } from "@tributary/protocol";
import { createLayout, routes } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startCoordinatorProcess } from "../support/coordinator-process.ts";
import { temporaryFolder } from "../support/folder.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const PARAMETERS = 7;
const layoutOfSmall = createLayout(smallTask().model.tensors);

/** An update of this norm. */
const ofNorm = (norm: number) => ({
  delta: new Float32Array(PARAMETERS).fill(norm / Math.sqrt(PARAMETERS)),
  numExamples: 1,
  metrics: {},
});

/**
 * So little noise on the bits (0.06 of a half) that a count is what it is, in all but one of 10^15 rounds: what
 * becomes of the norm can be said beforehand. It protects nobody, and the budget says so.
 */
const clearTask = (overrides: Partial<TaskSpecInput> = {}): TaskSpecInput =>
  smallTask({
    clippingNorm: 1,
    privacy: {
      ...{ mechanism: "central", noiseMultiplier: 0.05, delta: 1e-5, maxEpsilon: 1e6 },
      adaptiveClipping: { bitNoiseStddev: 0.03 },
    },
    ...overrides,
  });

/** After a round with everybody below, the norm is this times what it was. */
const DOWN = Math.exp(-0.2 * (1 - 0.5));

interface Seat {
  readonly client: RawClient;
  readonly assignment: Assignment;
}

async function takeSeats(url: string, keys: readonly string[]): Promise<Seat[]> {
  const clients = await Promise.all(keys.map((clientKey) => connectRaw(url, { clientKey })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  return Promise.all(
    clients.map(async (client, i) => ({
      client,
      assignment: replies[i]!.assignment ?? (await client.nextAssignment()),
    })),
  );
}

async function handIn(seats: readonly Seat[], norms: readonly number[]): Promise<void> {
  const layout = await layoutOfSmall;
  await Promise.all(
    seats.map(({ client, assignment }, i) =>
      client.report(assignment, layout, ofNorm(norms[i] ?? Number.NaN)),
    ),
  );
  for (const { client } of seats) {
    expect(await client.nextClosed()).toMatchObject({ outcome: "committed" });
  }
}

const leave = (seats: readonly Seat[]) =>
  Promise.all(seats.map(({ client }) => client[Symbol.asyncDispose]()));

describe("the norm that a quantile moves", () => {
  test("[AC6] is committed with its version: kill -9 in the middle of the next round loses nothing of it", async () => {
    await using folder = await temporaryFolder();
    const options = {
      directory: folder.path,
      tasks: [clearTask({ schedule: { reportWindowMs: 60_000 } })],
    };
    const keys = [newClientKey(), newClientKey()];
    const privacyAt = async (url: string) =>
      (await (await fetch(url + routes.privacy.path({ taskId: TASK }))).json()) as PrivacyResource;
    {
      await using first = await startCoordinatorProcess(options);
      const seats = await takeSeats(first.url, keys);
      await handIn(seats, [0.5, 0.5]);
      await leave(seats);
      await leave(await takeSeats(first.url, keys));
      await first.kill();
    }
    await using second = await startCoordinatorProcess(options);
    expect(await privacyAt(second.url)).toMatchObject({
      clippingNorm: expect.closeTo(DOWN, 12),
      rounds: 1,
    });
    const [open] = await second.rounds(TASK);
    expect(open).toMatchObject({ phase: "reporting", clippingNorm: expect.closeTo(DOWN, 12) });
    // 0.95 is above the norm of this round, and was below that of the first.
    const seats = await takeSeats(second.url, keys);
    await handIn(seats, [0.5, 0.95]);
    await leave(seats);
    const rounds = await second.rounds(TASK);
    expect(rounds.map(({ clippingNorm }) => clippingNorm)).toEqual([expect.closeTo(DOWN, 12), 1]);
    expect(await privacyAt(second.url)).toMatchObject({ clippingNorm: expect.closeTo(DOWN, 12) });
  });

  test("[AC6] stays where it is when a round is abandoned, and over pause and resume", async () => {
    await using running = await startCoordinator();
    const { tasks } = running.coordinator;
    await tasks.create(clearTask({ schedule: { selectionDeadlineMs: 300 } }));
    const keys = [newClientKey(), newClientKey()];
    {
      await using lonely = await connectRaw(running.url);
      await lonely.checkIn(TASK);
      expect(await running.roundEnded(1)).toMatchObject({ phase: "abandoned", clippingNorm: 1 });
    }
    expect(await tasks.privacy(TASK)).toMatchObject({ clippingNorm: 1, rounds: 0 });

    await tasks.pause(TASK);
    await tasks.resume(TASK);
    // Rounds may have been abandoned meanwhile for want of clients: each says the norm that it had.
    const again = await takeSeats(running.url, keys);
    const [{ assignment }] = again as [Seat];
    await handIn(again, [2, 2]);
    await leave(again);
    expect(await running.roundEnded(assignment.roundNumber)).toMatchObject({
      ...{ phase: "committed", clippingNorm: 1 },
    });
    expect(await tasks.privacy(TASK)).toMatchObject({ clippingNorm: expect.closeTo(1 / DOWN, 12) });
  });

  test("[AC7] is seen with the privacy and in the signed manifest, as is what it costs", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(clearTask());
    const seats = await takeSeats(running.url, [newClientKey(), newClientKey()]);
    await handIn(seats, [0.5, 0.5]);
    await leave(seats);
    const shown = {
      noiseMultiplier: 0.05,
      clippingNorm: expect.closeTo(DOWN, 12),
      adaptiveClipping: {
        ...{ targetQuantile: 0.5, learningRate: 0.2, bitNoiseStddev: 0.03 },
        ...{ minNorm: 0.001, maxNorm: 1000 },
        deltaNoiseMultiplier: expect.closeTo((0.05 ** -2 - 0.06 ** -2) ** -0.5, 12),
      },
      statement: expect.stringContaining("quantile 0.5"),
    };
    expect(await running.coordinator.tasks.privacy(TASK)).toMatchObject(shown);
    const { checkpoint } = await running.coordinator.tasks.get(TASK);
    expect(JSON.parse(checkpoint.signed.manifest)).toMatchObject({
      modelVersion: 1,
      privacy: shown,
    });
  });
});

describe("a federated task", () => {
  const CLIENTS = 40;
  /** Norms that are evenly spread between 1/e and e times 0.7, on a scale of logarithms. */
  const normOf = (client: number) => 0.7 * Math.exp(-1 + (2 * (client + 0.5)) / CLIENTS);
  const shareAt = (norm: number) => Math.min(1, Math.max(0, (Math.log(norm / 0.7) + 1) / 2));

  test.each([
    ["a hundred times too large", 70],
    ["a hundred times too small", 0.007],
  ])(
    "[AC8] whose norm begins %s reaches its quantile, though its clients clip themselves",
    async (_name, clippingNorm) => {
      await using running = await startCoordinator();
      const rounds = 40;
      await running.coordinator.tasks.create(
        smallTask({
          clippingNorm,
          privacy: {
            ...{ mechanism: "central", noiseMultiplier: 0.3, delta: 1e-5, maxEpsilon: 1e5 },
            adaptiveClipping: { learningRate: 0.5, bitNoiseStddev: 0.3 },
          },
          stop: { maxRounds: rounds },
          schedule: { minClients: CLIENTS, minReports: CLIENTS },
        }),
      );
      const clips = new Set<number | undefined>();
      const clients = Array.from({ length: CLIENTS }, () => createClient({ url: running.url }));
      const ends = await Promise.all(
        clients.map(
          (client, i) =>
            client.join(TASK, {
              trainer: {
                train: async ({ weights, plan }) => {
                  clips.add(plan.clippingNorm);
                  const { delta } = ofNorm(normOf(i));
                  return {
                    weights: weights.map((weight, at) => weight + delta[at]!),
                    numExamples: 1,
                    metrics: {},
                  };
                },
              },
            }).done,
        ),
      );
      for (const end of ends) expect(end).toMatchObject({ endReason: "maxRoundsReached" });
      await Promise.all(clients.map((client) => client.close()));
      expect([...clips]).toEqual([2 * 1000 * clippingNorm]);
      const { items } = await running.coordinator.tasks.rounds(TASK, { limit: rounds });
      const norms = items.map((round) => round.clippingNorm ?? Number.NaN);
      // Newest first: it began far away, and has stayed near for a while.
      expect(norms.at(-1)).toBe(clippingNorm);
      expect(Math.abs(shareAt(norms.at(-2)!) - 0.5)).toBe(0.5);
      for (const norm of norms.slice(0, 5)) {
        expect(Math.abs(shareAt(norm) - 0.5)).toBeLessThanOrEqual(0.05);
      }
    },
    60_000,
  );
});
