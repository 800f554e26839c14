import { request } from "node:http";

import type { TaskId } from "@tributary/protocol";
import { encodeUpdate, isFederatedError, PROTOCOL_VERSION } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;

test("[BI11] a flood of messages is refused and moves no deadline", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask({ schedule: { reportWindowMs: 1_500 } }));
  await using honest = await connectRaw(running.url);
  await using hostile = await connectRaw(running.url);
  await Promise.all([honest.checkIn(TASK), hostile.checkIn(TASK)]);
  await honest.nextAssignment();
  const codes = new Map<string, number>();
  for (let i = 0; i < 5_000; i++) {
    const message = { protocolVersion: PROTOCOL_VERSION, taskId: TASK };
    hostile.socket.emit("checkin", message, (reply: { ok: boolean; error?: { code: string } }) => {
      const code = reply.error?.code ?? "ok";
      codes.set(code, (codes.get(code) ?? 0) + 1);
    });
  }
  const round = await running.roundEnded(1);
  expect(round).toMatchObject({ phase: "abandoned", reason: "tooFewReports" });
  const reporting = round.phases?.find(({ phase }) => phase === "reporting");
  expect(reporting!.durationMs).toBeLessThan(1_500 + 500);
  expect(codes.get("RATE_LIMITED")).toBeGreaterThan(4_000);
});

test("[BI12] no more clients are admitted than allowed, also when they come all at once", async () => {
  await using running = await startCoordinator({ config: { limits: { maxClients: 3 } } });
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => connectRaw(running.url)));
  const admitted = tries.flatMap((attempt) =>
    attempt.status === "fulfilled" ? [attempt.value] : [],
  );
  expect(admitted).toHaveLength(3);
  for (const attempt of tries) {
    if (attempt.status === "fulfilled") continue;
    expect(isFederatedError(attempt.reason) && attempt.reason.code).toBe("RATE_LIMITED");
  }
  // A place that is given back is free again.
  await admitted[0]![Symbol.asyncDispose]();
  const again = async () => {
    for (;;) {
      const client = await connectRaw(running.url).catch(() => undefined);
      if (client !== undefined) return client;
    }
  };
  admitted[0] = await again();
  for (const client of admitted) await client[Symbol.asyncDispose]();
});

test("[BI13] a client's own evaluation is bounded: it can neither outweigh the others nor be senseless", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(
    smallTask({
      evaluation: { kind: "federated", numClasses: 0 },
      stop: { target: { metric: "loss", value: 0.1 } },
    }),
  );
  await using honest = await connectRaw(running.url);
  await using lying = await connectRaw(running.url);
  const [reply] = await Promise.all([honest.checkIn(TASK), lying.checkIn(TASK)]);
  const { layout } = reply.task;
  const [mine, theirs] = await Promise.all([honest.nextAssignment(), lying.nextAssignment()]);
  const update = (numExamples: number, lossSum: number) =>
    encodeUpdate(layout, {
      delta: new Float32Array(7),
      numExamples: 1,
      metrics: {
        evaluation: {
          ...{ numExamples, lossSum },
          ...{ truePositives: [], falsePositives: [], falseNegatives: [] },
        },
      },
    });
  for (const lie of [
    update(1, -1e9),
    update(2 ** 53 - 1, 0),
    update(1, 1.7e308),
    update(10_001, 1),
  ]) {
    expect((await lying.put(theirs, lie)).body.code).toBe("MALFORMED_MESSAGE");
  }
  expect((await honest.put(mine, update(100, 200))).status).toBe(200);
  expect((await lying.put(theirs, update(100, 0))).status).toBe(200);
  const round = await running.roundEnded(1);
  expect(round.evaluation).toMatchObject({ source: "federated", loss: 1, modelVersion: 0 });
});

test("[BI14] a reader of events that does not read harms no one when the coordinator closes", async () => {
  const running = await startCoordinator({ config: { limits: { sseHeartbeatMs: 100 } } });
  const { coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const failures: unknown[] = [];
  const note = (error: unknown) => void failures.push(error);
  process.on("uncaughtException", note);
  const readers = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<{ destroy(): void }>((resolve) => {
          const sent = request(`${running.url}/v1/events?lastEventId=0`, (response) => {
            response.pause();
            response.on("error", () => {});
            resolve(sent);
          });
          sent.on("error", () => {});
          sent.end();
        }),
    ),
  );
  for (let i = 0; i < 500; i++) await coordinator.tasks[i % 2 === 0 ? "pause" : "resume"](TASK);
  await coordinator.close();
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.off("uncaughtException", note);
  for (const reader of readers) reader.destroy();
  expect(failures).toEqual([]);
});
