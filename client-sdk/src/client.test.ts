import { decodeUpdate, FederatedError, isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../test/support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import { createClientKey } from "./client-key.ts";
import type { Client, ClientOptions } from "./client.ts";
import { createClient } from "./client.ts";
import type { Deferred } from "./deferred.ts";
import { createDeferred } from "./deferred.ts";
import { createMemoryFeedback } from "./encoding/feedback-store.ts";
import type { Participant, ParticipantEvents } from "./participant.ts";
import type { Trainer, TrainingRequest } from "./trainer.ts";

const connect = (fake: FakeCoordinator, options: Partial<ClientOptions> = {}): Client =>
  createClient({
    url: fake.url,
    backoff: { baseMs: 5, maxMs: 20 },
    ackTimeoutMs: 1_000,
    ...options,
  });

interface GatedTrainer extends Trainer {
  readonly requests: TrainingRequest[];
  /** Resolves when training number `n` (1, 2, …) has begun. */
  begun(n: number): Promise<TrainingRequest>;
  /** Lets every training end, that and later ones. */
  release(): void;
}

/** Adds n to every weight in training number n, once it is let go; stops when it is called off. */
function gatedTrainer({ gated = true } = {}): GatedTrainer {
  const gate = createDeferred<undefined>();
  const begins: Deferred<TrainingRequest>[] = [];
  const beginOf = (n: number) => (begins[n - 1] ??= createDeferred<TrainingRequest>());
  const requests: TrainingRequest[] = [];
  return {
    requests,
    begun: (n) => beginOf(n).promise,
    release: () => gate.resolve(undefined),
    train: async (request) => {
      requests.push(request);
      const n = requests.length;
      beginOf(n).resolve(request);
      if (gated) {
        await Promise.race([
          gate.promise,
          new Promise((_, reject) => {
            request.signal.addEventListener("abort", () => reject(new Error("stopped")));
          }),
        ]);
      }
      return { weights: request.weights.map((w) => w + n), numExamples: 5, metrics: {} };
    },
  };
}

function next<Name extends keyof ParticipantEvents>(
  participant: Participant,
  name: Name,
  accept: (value: ParticipantEvents[Name]) => boolean = () => true,
): Promise<ParticipantEvents[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no "${name}"; the state is ${participant.state}`)),
      10_000,
    );
    const off = participant.on(name, (value) => {
      if (!accept(value)) return;
      clearTimeout(timer);
      off();
      resolve(value);
    });
  });
}

const state = async (participant: Participant, wanted: string) => {
  if (participant.state !== wanted) await next(participant, "state", (now) => now === wanted);
};

test("[SDK50] a client checks in, trains, reports, hears the outcome and offers itself again", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const participant = client.join(TASK, { trainer: gatedTrainer({ gated: false }) });
  const told: string[] = [];
  for (const name of ["assigned", "reported", "closed"] as const) {
    participant.on(name, () => told.push(name));
  }
  await state(participant, "waiting");
  const offered = next(participant, "assigned");
  fake.emit("round:assigned", fake.assignment(1));
  fake.emit("round:assigned", fake.assignment(7, { taskId: "another" as typeof TASK }));
  expect(JSON.stringify(await offered)).not.toContain("token-of-round-1");
  await state(participant, "awaitingClose");
  expect(fake.puts.map(({ path, token }) => [path, token])).toEqual([
    ["/v1/rounds/fake.1/update", "token-of-round-1"],
  ]);
  expect(decodeUpdate(fake.layout, fake.puts[0]!.body)).toEqual({
    delta: new Float32Array(6).fill(1),
    numExamples: 5,
    metrics: {},
  });
  fake.emit("round:closed", {
    taskId: TASK,
    roundId: fake.assignment(1).roundId,
    outcome: "committed",
    modelVersion: 1,
  });
  await fake.until("checkin", 2);
  expect(told).toEqual(["assigned", "reported", "closed"]);
});

test("[EC7] an assignment in an encoding that this client does not know is declined, and the app is told", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const trainer = gatedTrainer({ gated: false });
  const participant = client.join(TASK, { trainer });
  await state(participant, "waiting");
  const { plan, ...assignment } = fake.assignment(1);
  const told = next(participant, "error");
  fake.emit("round:assigned", { ...assignment, plan: { ...plan, encoding: { kind: "fp8" } } });
  expect(await told).toMatchObject({ code: "ENCODING_UNSUPPORTED" });
  await fake.until("decline");
  expect(trainer.requests).toHaveLength(0);
  // The next round may be another's.
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(2));
  await state(participant, "awaitingClose");
});

test("[EC8] what is left out goes with the next update once the round is known to have counted it, over a restart", async () => {
  await using fake = await startFakeCoordinator();
  const feedback = createMemoryFeedback();
  const encoding = { kind: "topK", fraction: 1 / 3, values: "float32", feedback: true } as const;
  const assignmentOf = (round: number) => {
    const assignment = fake.assignment(round);
    return { ...assignment, plan: { ...assignment.plan, encoding } };
  };
  const sent = (put: number) => [...decodeUpdate(fake.layout, fake.puts[put]!.body).delta];
  const clientKey = createClientKey();
  for (const round of [1, 2]) {
    await using client = connect(fake, { feedback, clientKey });
    const participant = client.join(TASK, { trainer: gatedTrainer({ gated: false }) });
    await state(participant, "waiting");
    fake.emit("round:assigned", assignmentOf(round));
    await state(participant, "awaitingClose");
    // The answer is there before the store has been told of it.
    await participant.leave();
  }
  // Six ones are learned, two are sent; then six more, on top of the four that were left.
  expect(sent(0)).toEqual([1, 1, 0, 0, 0, 0]);
  expect(sent(1)).toEqual([0, 0, 2, 2, 0, 0]);
});

test("[SDK51] a connection lost in mid-training does not train twice", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const trainer = gatedTrainer();
  const participant = client.join(TASK, { trainer });
  await state(participant, "waiting");
  const assignment = fake.assignment(1);
  fake.emit("round:assigned", assignment);
  await trainer.begun(1);
  fake.place = assignment;
  fake.drop();
  await fake.until("checkin", 2);
  // Told twice, as after a check-in that gives a place at once.
  fake.emit("round:assigned", assignment);
  expect(participant.state).toBe("training");
  trainer.release();
  await state(participant, "awaitingClose");
  expect(trainer.requests).toHaveLength(1);
  expect(trainer.requests[0]!.signal.aborted).toBe(false);
  expect(fake.puts).toHaveLength(1);
});

test("[SDK52] a restarted coordinator gets the same bytes again, without new training", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const trainer = gatedTrainer({ gated: false });
  const participant = client.join(TASK, { trainer });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  await fake.stop();
  fake.place = fake.assignment(1, {
    update: { ...fake.assignment(1).update, token: "token-after-restart" },
  });
  await fake.start();
  await fake.until("PUT", 2);
  await state(participant, "awaitingClose");
  expect(fake.puts[1]!.body).toEqual(fake.puts[0]!.body);
  expect(fake.puts[1]!.token).toBe("token-after-restart");
  expect(trainer.requests).toHaveLength(1);
});

test("[SDK52] an upload goes on over a coordinator that is away for a while", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const participant = client.join(TASK, { trainer: gatedTrainer({ gated: false }) });
  await state(participant, "waiting");
  const answer = fake.answerPut;
  fake.answerPut = (put, attempt) => {
    if (attempt === 1) return { status: 0, hangUp: true };
    if (attempt === 2) {
      const busy = new FederatedError("UNAVAILABLE", "loading", { retryAfterMs: 5 });
      const headers = { "content-type": "application/problem+json" };
      return { status: 503, body: busy.toProblem(), headers };
    }
    return answer(put, attempt);
  };
  const errors: FederatedError[] = [];
  participant.on("error", (error) => errors.push(error));
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  expect(fake.puts).toHaveLength(3);
  expect(fake.puts[2]!.body).toEqual(fake.puts[0]!.body);
  expect(fake.puts[1]!.body).toEqual(fake.puts[0]!.body);
  expect(errors).toEqual([]);
});

test("[SDK53] training stops when the round closes, the app leaves, pauses, or the client is closed", async () => {
  await using fake = await startFakeCoordinator();
  const closeRound = () =>
    fake.emit("round:closed", {
      taskId: TASK,
      roundId: fake.assignment(1).roundId,
      outcome: "reportsClosed",
    });
  const ways: ((participant: Participant, client: Client) => unknown)[] = [
    closeRound,
    (participant) => participant.leave(),
    (participant) => participant.pause(),
    (_, client) => client.close(),
  ];
  for (const stop of ways) {
    fake.log.length = 0;
    await using client = connect(fake);
    const trainer = gatedTrainer();
    const participant = client.join(TASK, { trainer });
    await state(participant, "waiting");
    fake.emit("round:assigned", fake.assignment(1));
    const { signal } = await trainer.begun(1);
    const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
    await stop(participant, client);
    await stopped;
    expect(participant.state).not.toBe("training");
    if (stop === closeRound) await fake.until("checkin", 2);
    else await fake.until("leave");
    expect(fake.puts).toEqual([]);
  }
});

test("[SDK53] an abort signal given to join leaves", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const controller = new AbortController();
  const participant = client.join(TASK, { trainer: gatedTrainer(), signal: controller.signal });
  await state(participant, "waiting");
  controller.abort();
  await expect(participant.done).resolves.toEqual({ reason: "left" });
  expect(fake.count("leave")).toBe(1);
  const late = client.join(TASK, { trainer: gatedTrainer(), signal: controller.signal });
  await expect(late.done).resolves.toEqual({ reason: "left" });
});

test("[SDK53] a newer round takes the place of an older one, whose end cannot harm it", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const trainer = gatedTrainer();
  const participant = client.join(TASK, { trainer });
  const errors: unknown[] = [];
  participant.on("error", (error) => errors.push(error));
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  const first = await trainer.begun(1);
  fake.emit("round:assigned", fake.assignment(2));
  await trainer.begun(2);
  expect(first.signal.aborted).toBe(true);
  trainer.release();
  await state(participant, "awaitingClose");
  expect(fake.puts.map(({ path }) => path)).toEqual(["/v1/rounds/fake.2/update"]);
  expect(fake.count("decline")).toBe(0);
  expect(errors).toEqual([]);
});

test("[SDK54] an app may refuse an assignment, and is asked again in the next round", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const trainer = gatedTrainer({ gated: false });
  const asked: number[] = [];
  const participant = client.join(TASK, {
    trainer,
    accept: async ({ roundNumber }) => {
      asked.push(roundNumber);
      return roundNumber > 1;
    },
  });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await fake.until("decline");
  await fake.until("checkin", 2);
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(2));
  await state(participant, "awaitingClose");
  expect(asked).toEqual([1, 2]);
  expect(trainer.requests).toHaveLength(1);
});

test("[SDK55] a trainer that throws gives the place back, and the client tries the next round", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const participant = client.join(TASK, {
    trainer: { train: () => Promise.reject(new Error("no data today")) },
  });
  await state(participant, "waiting");
  const told = next(participant, "error");
  fake.emit("round:assigned", fake.assignment(1));
  const error = await told;
  expect(isFederatedError(error) && error.code).toBe("INTERNAL");
  expect(error.cause).toMatchObject({ message: "no data today" });
  await fake.until("decline");
  await fake.until("checkin", 2);
  await state(participant, "waiting");
});

test("[SDK56] a client that is told to go away says why; one that must wait, waits and comes back", async () => {
  await using fake = await startFakeCoordinator();
  fake.refuseHandshake = new FederatedError("RATE_LIMITED", "full", { retryAfterMs: 10 });
  await using client = connect(fake);
  const participant = client.join(TASK, { trainer: gatedTrainer() });
  await expect(next(participant, "error")).resolves.toMatchObject({ code: "RATE_LIMITED" });
  await fake.until("handshake", 3);
  fake.refuseHandshake = undefined;
  await state(participant, "waiting");

  fake.refuseHandshake = new FederatedError("UNAUTHENTICATED", "wrong token");
  await using stranger = connect(fake);
  const ended = await stranger.join(TASK, { trainer: gatedTrainer() }).done;
  expect(ended).toMatchObject({ reason: "failed", error: { code: "UNAUTHENTICATED" } });

  fake.refuseHandshake = undefined;
  fake.refuseCheckIn = new FederatedError("TASK_NOT_FOUND", "no such task");
  await using lost = connect(fake);
  await expect(lost.join(TASK, { trainer: gatedTrainer() }).done).resolves.toMatchObject({
    reason: "failed",
    error: { code: "TASK_NOT_FOUND", message: "no such task" },
  });
});

test("[SDK56] the answer to a check-in that a lost connection has overtaken changes nothing", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  fake.silent = true;
  const participant = client.join(TASK, { trainer: gatedTrainer() });
  const errors: unknown[] = [];
  participant.on("error", (error) => errors.push(error));
  await fake.until("checkin");
  fake.silent = false;
  fake.drop();
  await state(participant, "waiting");
  expect(fake.count("checkin")).toBe(2);
  expect(errors).toEqual([]);
});

test("[SDK57] a coordinator that closes its connections is found again", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const participant = client.join(TASK, { trainer: gatedTrainer() });
  await state(participant, "waiting");
  fake.dismiss();
  await state(participant, "idle");
  await state(participant, "waiting");
  await fake.stop();
  await state(participant, "idle");
  await fake.start();
  await state(participant, "waiting");
});

test("[SDK58] one client does one piece of work at a time, whatever its tasks", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  let running = 0;
  let most = 0;
  const trainer: Trainer = {
    train: async ({ weights }) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      return { weights, numExamples: 1, metrics: {} };
    },
  };
  const tasks = [TASK, "other" as typeof TASK, "third" as typeof TASK];
  const participants = tasks.map((taskId) => client.join(taskId, { trainer }));
  await Promise.all(participants.map((participant) => state(participant, "waiting")));
  expect(fake.count("handshake")).toBe(1);
  const reported = participants.map((participant) => next(participant, "reported"));
  for (const taskId of tasks) {
    const { checkpoint } = fake.assignment(1);
    const signed = await fake.sign(checkpoint, taskId);
    const assignment = fake.assignment(1, { taskId, checkpoint: { ...checkpoint, signed } });
    fake.emit("round:assigned", assignment);
  }
  await Promise.all(reported);
  expect(most).toBe(1);
});

test("[SDK60] a throwing listener is told of and disturbs nothing", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const participant = client.join(TASK, { trainer: gatedTrainer({ gated: false }) });
  const errors: FederatedError[] = [];
  participant.on("error", (error) => errors.push(error));
  participant.on("state", () => {
    throw new Error("the app's fault");
  });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  expect(errors.every(({ cause }) => String(cause) === "Error: the app's fault")).toBe(true);
  expect(errors.length).toBeGreaterThan(0);
});

test("[SDK61] a client key is 32 random bytes, and what cannot be one is refused without showing it", () => {
  const keys = new Set(Array.from({ length: 100 }, createClientKey));
  expect(keys.size).toBe(100);
  for (const key of keys) expect(Buffer.from(key, "base64url")).toHaveLength(32);
  const url = "http://127.0.0.1:1";
  const clientKey = "not-a-key";
  expect(() => createClient({ url, clientKey })).toThrow(/43 characters/);
  expect(() => createClient({ url, clientKey })).not.toThrow(/not-a-key/);
  expect(() => createClient({ url: "ftp://x" })).toThrow(/http/);
});

test("[SDK62] a task description that contradicts itself is not trained for", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake);
  const [tensor] = fake.layout.tensors;
  (fake.layout.tensors as (typeof tensor)[])[0] = { ...tensor!, shape: [4, 1] };
  await expect(client.join(TASK, { trainer: gatedTrainer() }).done).resolves.toMatchObject({
    reason: "failed",
    error: { code: "UPDATE_LAYOUT_MISMATCH" },
  });
});
