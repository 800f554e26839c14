import { parseRoundId, parseTaskId } from "@tributary/protocol";
import type { RoundId } from "@tributary/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";

import { startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";
import type { Figures, World } from "./world.ts";
import { openWorld, privateTask, readEverything, TOKENS } from "./world.ts";

/** Two worlds that differ in nothing but their clients. */
const MANY: Figures = { reports: 7, refusals: 4, declined: 1, later: 3 };
const FEW: Figures = { reports: 5, refusals: 1, declined: 0, later: 2 };

/** What differs between any two runs: instants, random numbers, and numbers of events. */
const normalized = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g, "<instant>")
    .replace(/127\.0\.0\.1:\d+/g, "<address>")
    .replace(/"(opened|ended)AtMs":\[[\d,]+\]/g, "<instants>")
    .replace(/\b[0-9a-f]{64}\b/g, "<digest>")
    .replace(/[\w-]{40,}/g, "<random>")
    .replace(/"id":"\d+"|^id: \d+$/gm, "<event id>")
    .replace(/"timeLeftMs":[\d.]+/g, "<time left>")
    // Until when an assignment token is good.
    .replace(/~\d{13}(\.\d+)?~/g, "~<instant>~")
    // Of the process: its load shows, see SECURITY.md.
    .replace(/^(process_|nodejs_|tributary_event_loop_)\S+ .*$/gm, "<process>");

const shared = async (world: World, token: string) =>
  new Map(
    [...(await readEverything(world, token))].map(([name, text]) => [name, normalized(text)]),
  );

let many: World;
let few: World;
beforeAll(async () => {
  [many, few] = await Promise.all([openWorld(MANY), openWorld(FEW)]);
});
afterAll(() => Promise.all([many, few].map((world) => world[Symbol.asyncDispose]())));

test("[EG1] what a viewer, a client and a scraper get is the same however many clients report, are refused, decline or wait", async () => {
  for (const token of [TOKENS.viewerToken, TOKENS.clientToken]) {
    const [of, against] = [await shared(many, token), await shared(few, token)];
    expect(of.size).toBeGreaterThan(20);
    for (const [name, text] of of) expect(text, name).toBe(against.get(name));
  }
  // It can tell: the operator sees every one of these numbers.
  const operator = await readEverything(many, TOKENS.adminToken);
  expect(operator.get("GET /v1/rounds/:roundId")).toContain(
    '"participants":{"selected":12,"reported":7,"pending":0,"declined":1,"left":0,"disconnected":0,"rejected":4,"timedOut":0}',
  );
  expect(operator.get("GET /metrics")).toContain(
    'tributary_updates_accepted_total{task="private"} 8',
  );
  expect(operator.get("events")).toMatch(/"private\.1"[^\n]*"phase":"committed"[^\n]*"reported":7/);
});

test("[EG2] a participant hears, and logs of every level say, the same however many take part", () => {
  const heard = (world: World) => world.heard.map((one) => normalized(JSON.stringify(one)));
  expect(heard(many).length).toBeGreaterThan(4);
  expect(heard(many)).toEqual(heard(few));
  const logs = (world: World) => world.logged.map((one) => normalized(JSON.stringify(one)));
  expect(logs(many).length).toBeGreaterThan(0);
  expect(logs(many)).toEqual(logs(few));
});

test("[EG3] why a round came to nothing, if it lies with its clients, is told the operator alone", async () => {
  const logged: string[] = [];
  const log = (fields: object, message: string) =>
    void logged.push(JSON.stringify({ ...fields, message }));
  await using running = await startCoordinator({
    logger: { debug: log, info: log, warn: log, error: log },
    config: { auth: TOKENS },
  });
  const { tasks } = running.coordinator;
  // Under central noise no such round comes to nothing (DP26).
  const spec = privateTask({
    privacy: { mechanism: "local", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 100 },
    schedule: { minClients: 1, minReports: 1, selectionDeadlineMs: 300, reportWindowMs: 300 },
  });
  await tasks.create(spec);
  await using client = await connectRaw(running.url, { token: TOKENS.clientToken });
  await client.checkIn("private");
  await client.nextAssignment();
  const message = await client.nextClosed();
  expect(message).toEqual({ taskId: "private", roundId: "private.1", outcome: "abandoned" });
  const read = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const paths = ["/v1/rounds/private.1", "/v1/audit", "/metrics", "/v1/tasks/private/rounds"];
    const texts = paths.map(async (path) => (await fetch(running.url + path, { headers })).text());
    return (await Promise.all(texts)).join("\n");
  };
  expect(await read(TOKENS.viewerToken)).not.toContain("tooFew");
  expect(logged.join("\n")).toContain("the round was abandoned");
  expect(logged.join("\n")).not.toContain("tooFew");
  expect((await tasks.round("private.1" as RoundId)).reason).toBe("tooFewReports");
  expect(await read(TOKENS.adminToken)).toContain('"reason":"tooFewReports"');
  // What the operator did is no secret of the clients.
  await client.checkIn("private");
  const next = await client.nextAssignment();
  await tasks.cancel(parseTaskId("private"));
  expect(await client.nextClosed()).toMatchObject({ outcome: "abandoned", reason: "cancelled" });
  const { roundNumber } = parseRoundId(next.roundId);
  expect(await read(TOKENS.viewerToken)).toContain(`private.${roundNumber}`);
  expect(await read(TOKENS.viewerToken)).toContain('"reason":"cancelled"');
});

test("[EG4] where no token is asked of anybody, whoever asks is the operator; with one, only its bearer", async () => {
  for (const auth of [{}, { adminToken: TOKENS.adminToken }, { viewerToken: TOKENS.viewerToken }]) {
    await using running = await startCoordinator({ config: { auth } });
    await running.coordinator.tasks.create(privateTask());
    const waiting = async (headers: Record<string, string>) => {
      const response = await fetch(`${running.url}/v1/tasks/private`, { headers });
      return ((await response.json()) as { clientsWaiting?: number }).clientsWaiting;
    };
    const isAsked = Object.keys(auth).length > 0;
    expect(await waiting({})).toBe(isAsked ? undefined : 0);
    const admin = { authorization: `Bearer ${TOKENS.adminToken}` };
    expect(await waiting(admin)).toBe("viewerToken" in auth ? undefined : 0);
    const viewer = { authorization: `Bearer ${TOKENS.viewerToken}` };
    expect(await waiting(viewer)).toBe(isAsked ? undefined : 0);
  }
});

test("[EG5] a task without privacy is shown whole, and so is everything while there is no other", async () => {
  await using running = await startCoordinator({ config: { auth: TOKENS } });
  await running.coordinator.tasks.create({
    ...privateTask(),
    taskId: "plain",
    privacy: { mechanism: "none" },
  });
  await using client = await connectRaw(running.url, { token: TOKENS.clientToken });
  await client.checkIn("plain");
  const headers = { authorization: `Bearer ${TOKENS.viewerToken}` };
  const metrics = async () => (await fetch(`${running.url}/metrics`, { headers })).text();
  expect(await metrics()).toContain("tributary_clients_connected 1");
  expect(await metrics()).toContain('tributary_clients_waiting{task="plain"} 1');
  await running.coordinator.tasks.create(privateTask());
  expect(await metrics()).not.toContain("tributary_clients_connected");
  expect(await metrics()).not.toContain("tributary_received_bytes");
  expect(await metrics()).not.toContain('tributary_clients_waiting{task="private"}');
  expect(await metrics()).toContain('tributary_clients_waiting{task="plain"} 1');
});

test("[EG10] no filter without noise and a charge can be asked for as privacy", async () => {
  await using running = await startCoordinator();
  const { tasks } = running.coordinator;
  for (const mechanism of ["percentile", "svt", "clip", "topK", "noise", "secure"]) {
    const spec = privateTask({ privacy: { mechanism } as never });
    await expect(tasks.create(spec), mechanism).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  }
  await tasks.create(privateTask());
  expect(await tasks.privacy(parseTaskId("private"))).toMatchObject({ epsilon: 0 });
});
