import type { TaskSpecInput } from "@tributary/protocol";
import { createLayout, encodeUpdate, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startIdentityProvider } from "../support/identity-provider.ts";
import type { Asked } from "../support/raw-check-in.ts";
import { ask, HELD_TASK, waitsFor } from "../support/raw-check-in.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const LONG = { timing: { checkInHoldMs: 60_000 } };
const REFUSED = { status: 401, body: { code: "UNAUTHENTICATED" } };

async function withEnrolment(spec: Partial<TaskSpecInput> = {}): Promise<RunningCoordinator> {
  const config = { ...LONG, auth: { enrolment: { enabled: true } } };
  const running = await startCoordinator({ config });
  await running.coordinator.tasks.create(smallTask(spec));
  return running;
}

const placesOf = (asked: readonly Asked[]) =>
  asked.flatMap(({ body }) => (body.assignment === undefined ? [] : [body.assignment]));

/** Who is in the cohort of the open round, however it was told. */
async function selected({ coordinator }: RunningCoordinator): Promise<number | undefined> {
  const { currentRound } = await coordinator.tasks.get(HELD_TASK);
  return currentRound?.participants?.selected;
}

test("[MC15] who is revoked while its request is held is told so at once and gets no place", async () => {
  await using running = await withEnrolment();
  const { enrolment } = running.coordinator;
  const [bad, good] = [await enrolment.create(), await enrolment.create({ uses: 2 })];
  const clientKey = newClientKey();
  const held = ask(running.url, { clientKey, token: bad.token });
  await waitsFor(running, 1);
  await enrolment.revoke(bad.tokenId);
  expect(await held).toMatchObject(REFUSED);
  await waitsFor(running, 0);
  expect(await ask(running.url, { clientKey })).toMatchObject(REFUSED);
  const others = await Promise.all([1, 2].map(() => ask(running.url, { token: good.token })));
  expect(placesOf(others)).toHaveLength(2);
  expect(await selected(running)).toBe(2);
});

test("[MC15] nor does it where revoking and asking cross", async () => {
  await using running = await withEnrolment({ schedule: { minClients: 3 } });
  const { enrolment } = running.coordinator;
  const { token, tokenId } = await enrolment.create({ uses: 12 });
  const keys = Array.from({ length: 12 }, newClientKey);
  // Enrolled, and gone again.
  await Promise.all(
    keys.slice(0, 2).map((clientKey) => ask(running.url, { clientKey, token, query: "&waitMs=1" })),
  );
  const good = await enrolment.create();
  const requests = (some: readonly string[]) =>
    some.map((clientKey) => ask(running.url, { clientKey, token, query: "&waitMs=3000" }));
  const early = requests(keys.slice(0, 2));
  const revoking = enrolment.revoke(tokenId);
  const answers = await Promise.all([...early, ...requests(keys.slice(2))]);
  await revoking;
  for (const answer of answers) {
    if (answer.body.assignment === undefined) expect(answer).toMatchObject(REFUSED);
  }
  // Whoever had a place before is in that round, which takes nothing of it; nobody waits for another one.
  await waitsFor(running, 0);
  const layout = await createLayout(smallTask().model.tensors);
  const update = { delta: new Float32Array(7), numExamples: 1, metrics: {} };
  for (const { update: target } of placesOf(answers)) {
    const answer = await fetch(running.url + target.url, {
      method: "PUT",
      headers: { authorization: `Bearer ${target.token}` },
      body: encodeUpdate(layout, update) as BodyInit,
    });
    expect(answer.status).toBe(401);
  }
  expect((await ask(running.url, { token: good.token, query: "&waitMs=1" })).status).toBe(200);
});

test("[MC13] an address that has all places gives way to others, and is told when to come back", async () => {
  const token = "a-token-for-the-clients-of-this-test";
  const auth = { clientToken: token, adminToken: "a-token-for-the-admins-of-this-test" };
  const server = { trustedProxy: true };
  await using running = await startCoordinator({
    config: { ...LONG, auth, server, limits: { heldCheckIns: 4 } },
  });
  await running.coordinator.tasks.create(smallTask({ schedule: { minClients: 9 } }));
  const from = (address: string) =>
    ask(running.url, { token, headers: { "x-forwarded-for": address } });
  const crowd = [1, 2, 3, 4].map(() => from("192.0.2.1"));
  await waitsFor(running, 4);
  expect((await from("192.0.2.1")).status).toBe(429);
  const other = from("198.51.100.1");
  const sentAway = await Promise.race(crowd);
  expect(sentAway).toMatchObject({
    status: 200,
    body: { comeBackInMs: expect.any(Number) as number },
  });
  expect(sentAway.body.assignment).toBeUndefined();
  await waitsFor(running, 4);
  await running.coordinator.tasks.cancel(HELD_TASK);
  expect((await other).body).toMatchObject({ code: "TASK_ENDED" });
});

test("[MC15] a request is held for no longer than its token is valid", async () => {
  await using provider = await startIdentityProvider();
  const config = { ...LONG, auth: { jwt: provider.settings } };
  await using running = await startCoordinator({ config });
  await running.coordinator.tasks.create(smallTask());
  const token = await provider.sign("somebody", 2);
  const { status, body } = await ask(running.url, { token });
  expect([status, body.assignment]).toEqual([200, undefined]);
  await waitsFor(running, 0);
  expect(await ask(running.url, { token })).toMatchObject(REFUSED);
});

test("[MC15] credentials of another coordinator, and an assignment token of another round, open nothing", async () => {
  await using running = await withEnrolment({ schedule: { minClients: 1, minReports: 1 } });
  await using other = await withEnrolment({ schedule: { minClients: 1, minReports: 1 } });
  const foreign = await other.coordinator.enrolment.create();
  const own = await running.coordinator.enrolment.create();
  expect(await ask(running.url, { token: foreign.token })).toMatchObject(REFUSED);
  const mine = placesOf([await ask(running.url, { token: own.token })]);
  const theirs = placesOf([await ask(other.url, { token: foreign.token })]);
  const decline = async (token: string, roundId = mine[0]!.roundId) => {
    const headers = { authorization: `Bearer ${token}` };
    const path = routes.decline.path({ roundId });
    return (await fetch(running.url + path, { method: "POST", headers })).status;
  };
  expect(await decline(theirs[0]!.update.token)).toBe(401);
  expect(await decline(mine[0]!.update.token, "small.2" as never)).toBe(401);
  expect(await selected(running)).toBe(1);
  expect(await decline(mine[0]!.update.token)).toBe(204);
});

test("[MC16] a Poisson sampler throws one coin for each client that waits, by a socket or held", async () => {
  const sampler = { kind: "poisson", samplingRate: 0.5, population: 12, seed: 5 } as const;
  await using running = await startCoordinator({ config: LONG });
  const schedule = { minClients: 12, minReports: 1, reportWindowMs: 60_000 };
  await running.coordinator.tasks.create(smallTask({ sampler, schedule }));
  const keys = Array.from({ length: 8 }, newClientKey);
  const sockets = await Promise.all([1, 2, 3, 4].map(() => connectRaw(running.url)));
  const told = new Set<number>();
  for (const [i, { socket }] of sockets.entries()) {
    socket.on("round:assigned", () => void told.add(i));
  }
  const requests = keys.map((clientKey) => ask(running.url, { clientKey, query: "&waitMs=4000" }));
  await waitsFor(running, 8);
  for (const socket of sockets) await socket.checkIn(HELD_TASK);
  const asked = await Promise.all(requests);
  const places = placesOf(asked);
  expect(places.length).toBeGreaterThan(0);
  expect(places.length).toBeLessThan(keys.length);
  expect(new Set(places.map(({ roundId }) => roundId))).toEqual(new Set(["small.1"]));
  expect(places.length + told.size).toBe(await selected(running));
  // Whoever asks again has what it had: a coin is not thrown twice.
  const again = await Promise.all(
    keys.map((clientKey) => ask(running.url, { clientKey, query: "&waitMs=1" })),
  );
  expect(again.map(({ body }) => body.assignment?.roundId)).toEqual(
    asked.map(({ body }) => body.assignment?.roundId),
  );
  for (const socket of sockets) await socket[Symbol.asyncDispose]();
});

test("[MC16] places count towards a client's quota of rounds, by whatever way it asks", async () => {
  const config = { ...LONG, limits: { roundsPerClientPerDay: 1 } };
  await using running = await startCoordinator({ config });
  const schedule = { minClients: 1, minReports: 1 };
  await running.coordinator.tasks.create(smallTask({ schedule }));
  const clientKey = newClientKey();
  const [place] = placesOf([await ask(running.url, { clientKey })]);
  await using socket = await connectRaw(running.url, { clientKey });
  const layout = await createLayout(smallTask().model.tensors);
  await socket.report(place!, layout, {
    ...{ delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} },
  });
  await running.roundEnded(1);
  const refused = await ask(running.url, { clientKey });
  expect(refused).toMatchObject({
    ...{ status: 429, body: { details: { limit: "roundsPerClientPerDay" } } },
  });
  expect(refused.body.retryAfterMs).toBeGreaterThan(0);
  await expect(socket.checkIn(HELD_TASK)).rejects.toMatchObject({ code: "RATE_LIMITED" });
  await waitsFor(running, 0);
  // Where the place was had by a socket, the request is refused alike.
  await using other = await connectRaw(running.url);
  await other.checkIn(HELD_TASK);
  const { roundNumber } = await other.nextAssignment();
  expect(roundNumber).toBe(2);
  const same = await ask(running.url, { clientKey: other.clientKey });
  expect(same.body.assignment?.roundNumber).toBe(2);
});

test("[MC17] the same client by a socket and by HTTP at once has one place, and is told of it by the request", async () => {
  await using running = await startCoordinator({ config: LONG });
  await running.coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  await using socket = await connectRaw(running.url, { clientKey });
  await socket.checkIn(HELD_TASK);
  const held = ask(running.url, { clientKey });
  await waitsFor(running, 1);
  // Alone it begins no round of two, however often it asks.
  const other = ask(running.url);
  const [mine, theirs] = placesOf(await Promise.all([held, other]));
  expect(await selected(running)).toBe(2);
  const layout = await createLayout(smallTask().model.tensors);
  const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };
  // By whatever way it asks, it is the same place: the second report is the first one again.
  const again = await socket.checkIn(HELD_TASK);
  expect(again.assignment?.roundId).toBe(mine!.roundId);
  expect(await socket.report(mine!, layout, update)).toMatchObject({ duplicate: false });
  expect(await socket.report(again.assignment!, layout, update)).toMatchObject({ duplicate: true });
  await socket.report(theirs!, layout, update);
  expect((await running.roundEnded(1)).participants).toMatchObject({ selected: 2, reported: 2 });
});

test("[MC17] a request that ends leaves the socket's offer, and a socket that goes leaves the request's", async () => {
  await using running = await startCoordinator({ config: LONG });
  await running.coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  const socket = await connectRaw(running.url, { clientKey });
  await socket.checkIn(HELD_TASK);
  await ask(running.url, { clientKey, query: "&waitMs=20" });
  await waitsFor(running, 1);
  const held = ask(running.url, { clientKey });
  await socket.ask("leave", { taskId: HELD_TASK });
  await socket[Symbol.asyncDispose]();
  const other = await Promise.all([held, ask(running.url)]);
  expect(placesOf(other)).toHaveLength(2);
});

test("[MC26] 1 500 made-up clients of one address do not send the next ones away for longer than a meeting", async () => {
  await using running = await startCoordinator({ config: { timing: { checkInHoldMs: 500 } } });
  await running.coordinator.tasks.create(
    smallTask({ schedule: { minClients: 10, selectionDeadlineMs: 60_000 } }),
  );
  const five = [1, 2, 3, 4, 5];
  for (let i = 0; i < 300; i++) {
    await Promise.all(five.map(() => ask(running.url, { query: "&waitMs=0" })));
  }
  const told = await Promise.all(five.map(() => ask(running.url, { query: "&waitMs=0" })));
  // Believed, they would be told a minute in the mean.
  for (const { body } of told) expect(body.comeBackInMs).toBeLessThan(5_000);
});
