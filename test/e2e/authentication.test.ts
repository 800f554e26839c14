import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { join } from "node:path";

import { createClient, createClientKey } from "@tributary/client-sdk";
import type { Client, ParticipationEnd } from "@tributary/client-sdk";
import type { ConfigInput } from "@tributary/coordinator";
import type { TaskId } from "@tributary/protocol";
import { encodeUpdate, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { startIdentityProvider } from "../support/identity-provider.ts";
import { connectRaw } from "../support/raw-client.ts";
import { countingTrainer, sumPredictor } from "../support/trainers.ts";

const TASK = "small" as TaskId;
const AT_THE_END = { reason: "taskEnded", endReason: "maxRoundsReached" };
const backoff = { baseMs: 10, maxMs: 50 };
const solo = (maxRounds: number) =>
  smallTask({
    stop: { maxRounds },
    schedule: { minClients: 1, minReports: 1, reportWindowMs: 20_000 },
  });
type Auth = NonNullable<ConfigInput["auth"]>;

async function start(auth: Auth, maxRounds = 1): Promise<RunningCoordinator> {
  const running = await startCoordinator({ config: { auth } });
  await running.coordinator.tasks.create(solo(maxRounds));
  return running;
}

/** A promise, and the function that keeps it. */
function signal() {
  let give = () => {};
  const given = new Promise<void>((resolve) => (give = resolve));
  return { give, given };
}

function within<T>(what: string, promise: Promise<T>, timeoutMs = 15_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} did not come in ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

test("[AU8] a token that ends in mid-training ends its connection; with the next one the same training goes on", async () => {
  await using provider = await startIdentityProvider();
  await using running = await start({ jwt: provider.settings });
  const again = signal();
  const gate = signal();
  let asked = 0;
  await using client = createClient({
    url: running.url,
    backoff,
    token: () => {
      asked += 1;
      if (asked === 2) {
        again.give();
        // The provider has changed its key meanwhile, too.
        provider.rotate();
      }
      return provider.sign("ada@example.com", asked === 1 ? 2 : 3600);
    },
  });
  const trainer = countingTrainer({ gate: () => gate.given });
  const participant = client.join(TASK, { trainer });
  const errors: unknown[] = [];
  participant.on("error", (error) => errors.push(error));
  await within("a new token was asked for", again.given);
  gate.give();
  expect(await within("the end", participant.done)).toEqual(AT_THE_END);
  expect([trainer.begun, errors]).toEqual([1, []]);
  expect(await running.coordinator.tasks.get(TASK)).toMatchObject({
    roundsCommitted: 1,
    roundsAbandoned: 0,
  });
  expect(provider.asked).toBe(2);
});

test("[AU17] a token that has ended, where asking again gives no other, ends the participation and says why", async () => {
  await using provider = await startIdentityProvider();
  await using running = await start({ jwt: provider.settings });
  const token = await provider.sign("ada@example.com", 2);
  const ends: Promise<ParticipationEnd>[] = [];
  const clients: Client[] = [];
  for (const source of [token, () => token]) {
    const client = createClient({ url: running.url, backoff, token: source });
    clients.push(client);
    const gate = signal();
    const trainer = countingTrainer({ gate: () => gate.given });
    const participant = client.join(TASK, { trainer });
    void participant.done.then(gate.give);
    participant.on("state", (state) => state === "ended" && gate.give());
    ends.push(participant.done);
  }
  for (const end of await within("the ends", Promise.all(ends))) {
    expect(end).toMatchObject({ reason: "failed", error: { code: "UNAUTHENTICATED" } });
    const { message } = end.reason === "failed" ? end.error : new Error();
    expect(message).toMatch(/expired/);
    expect(message).not.toContain(token.split(".")[1]);
  }
  await Promise.all(clients.map((client) => client.close()));
});

test("[AU17] a token that has run out before it is shown is followed by the next, and nobody is told", async () => {
  await using provider = await startIdentityProvider();
  await using running = await start({ jwt: provider.settings });
  const spans = [-5, 3600];
  await using client = createClient({
    url: running.url,
    backoff,
    token: () => provider.sign("ada", spans.shift() ?? 3600),
  });
  const participant = client.join(TASK, { trainer: countingTrainer() });
  const errors: unknown[] = [];
  participant.on("error", (error) => errors.push(error));
  expect(await within("the end", participant.done)).toEqual(AT_THE_END);
  expect(errors).toEqual([]);
});

test("[AU6] two devices of one account have one place in a round", async () => {
  await using provider = await startIdentityProvider();
  await using running = await startCoordinator({ config: { auth: { jwt: provider.settings } } });
  const { layout } = await running.coordinator.tasks.create(
    smallTask({ stop: { maxRounds: 1 }, schedule: { minClients: 2, minReports: 2 } }),
  );
  const come = async (subject: string) =>
    connectRaw(running.url, { token: await provider.sign(subject) });
  await using phone = await come("ada");
  await using laptop = await come("ada");
  await using bob = await come("bob");
  const ids = [await phone.checkIn(TASK), await laptop.checkIn(TASK)].map((one) => one.clientId);
  expect(ids[0]).toBe(ids[1]);
  await bob.checkIn(TASK);
  const update = { delta: new Float32Array(7), numExamples: 1, metrics: {} };
  await laptop.report(await laptop.nextAssignment(), layout, update);
  await bob.report(await bob.nextAssignment(), layout, update);
  expect((await phone.nextClosed()).outcome).toBe("committed");
  const round = await running.roundEnded(1);
  expect(round.participants).toMatchObject({ selected: 2, reported: 2 });
});

test("[AU6] a device that only serves is given no work in place of one that offered itself", async () => {
  await using provider = await startIdentityProvider();
  await using running = await start({ jwt: provider.settings });
  const token = () => provider.sign("ada");
  await using trains = await connectRaw(running.url, { token: await token() });
  await using serves = await connectRaw(running.url, { token: await token() });
  await serves.ask("watch", { protocolVersion: 1, taskId: TASK });
  await trains.checkIn(TASK);
  expect((await trains.nextAssignment()).roundNumber).toBe(1);
});

test("[AU10] an app enrols with its token, trains, serves, and comes back with its key alone", async () => {
  await using running = await start({ enrolment: { enabled: true } }, 2);
  const { token } = await running.coordinator.enrolment.create();
  const clientKey = createClientKey();
  const client = createClient({ url: running.url, backoff, clientKey, token });
  const participant = client.join(TASK, { trainer: countingTrainer() });
  await within("a report", new Promise((resolve) => participant.on("reported", resolve)));
  await client.close();

  const stranger = createClient({ url: running.url, backoff, token });
  expect(await stranger.join(TASK, { trainer: countingTrainer() }).done).toMatchObject({
    reason: "failed",
    error: { code: "UNAUTHENTICATED", message: expect.stringContaining("used up") as string },
  });
  await stranger.close();

  await using again = createClient({ url: running.url, backoff, clientKey });
  expect(await within("the end", again.join(TASK, { trainer: countingTrainer() }).done)).toEqual(
    AT_THE_END,
  );
  const served = again.model(TASK, { predictor: sumPredictor });
  await within("the model", served.ready);
  await served.refresh();
  expect(served.version).toBe(2);
  expect((await running.coordinator.enrolment.list({ limit: 9 })).items).toMatchObject([
    { used: 1, state: "usedUp" },
  ]);
});

test("[AU12] revoking a token throws out who came by it, in mid-training too, and its update is not taken", async () => {
  await using running = await start({ enrolment: { enabled: true } }, 1);
  const { enrolment } = running.coordinator;
  const { token, tokenId } = await enrolment.create({ uses: 2 });
  const gate = signal();
  const training = signal();
  await using client = createClient({ url: running.url, backoff, token });
  const participant = client.join(TASK, {
    trainer: countingTrainer({
      gate: () => {
        training.give();
        return gate.given;
      },
    }),
  });
  await within("training", training.given);
  await using raw = await connectRaw(running.url, { token });
  const gone = new Promise((resolve) => raw.socket.on("disconnect", resolve));
  await enrolment.revoke(tokenId);
  await within("the disconnection", gone);
  participant.on("state", (state) => state === "ended" && gate.give());
  expect(await within("the end", participant.done)).toMatchObject({
    reason: "failed",
    error: { code: "UNAUTHENTICATED", message: expect.stringContaining("revoked") as string },
  });
  await expect(connectRaw(running.url, { clientKey: raw.clientKey })).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
});

test("[AU12] an assignment token of a client whose enrolment was revoked takes no update", async () => {
  await using running = await start({ enrolment: { enabled: true } }, 1);
  const { enrolment, tasks } = running.coordinator;
  const { token, tokenId } = await enrolment.create();
  await using raw = await connectRaw(running.url, { token });
  await raw.checkIn(TASK);
  const assignment = await raw.nextAssignment();
  await enrolment.revoke(tokenId);
  const { layout } = await tasks.get(TASK);
  const update = { delta: new Float32Array(7), numExamples: 1, metrics: {} };
  await expect(raw.report(assignment, layout, update)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
});

test("[AU12] an update that was on its way when the token was revoked is not taken", async () => {
  const viewerToken = "a-viewer-who-reads-metrics";
  await using running = await start({ enrolment: { enabled: true }, viewerToken }, 1);
  const { enrolment } = running.coordinator;
  const { token, tokenId } = await enrolment.create();
  await using raw = await connectRaw(running.url, { token });
  const reply = await raw.checkIn(TASK);
  const { update: target } = await raw.nextAssignment();
  const frame = encodeUpdate(reply.task.layout, {
    ...{ delta: new Float32Array(7), numExamples: 1, metrics: {} },
  });
  const upload = request(new URL(target.url, running.url), {
    method: "PUT",
    headers: { authorization: `Bearer ${target.token}`, "content-length": frame.length },
  });
  upload.write(frame.subarray(0, 70));
  const metrics = async () => {
    const headers = { authorization: `Bearer ${viewerToken}` };
    return (await fetch(`${running.url}${routes.metrics.path()}`, { headers })).text();
  };
  await expect.poll(metrics).toContain("tributary_received_bytes_total 70");
  await enrolment.revoke(tokenId);
  upload.end(frame.subarray(70));
  const [answer] = (await once(upload, "response")) as [IncomingMessage];
  expect(answer.statusCode).toBe(401);
});

test("[AU18] no secret, and nothing that names an account, is in logs, URLs, errors, API answers or files", async () => {
  await using folder = await temporaryFolder();
  await using provider = await startIdentityProvider();
  const secrets = {
    clientToken: "canary-of-the-client-token",
    viewerToken: "canary-of-the-viewer-token",
    adminToken: "canary-of-the-admin-token!",
  };
  const said: string[] = [];
  const say = (value: unknown) =>
    void said.push(
      value instanceof Error
        ? `${value.stack} ${JSON.stringify(value)} ${String(value.cause)}`
        : JSON.stringify(value),
    );
  const log = (fields: object, message: string) => say({ ...fields, message });
  const keys: string[] = [];
  const jwts: string[] = [];
  const subject = "ada.canary@example.com";
  const storage = { kind: "sqlite", directory: folder.path } as const;
  let enrolmentToken: string;
  {
    await using running = await startCoordinator({
      logger: { debug: log, info: log, warn: log, error: log },
      config: {
        storage,
        auth: { ...secrets, jwt: provider.settings, enrolment: { enabled: true } },
      },
    });
    const { coordinator, url } = running;
    coordinator.events.subscribe(say);
    await coordinator.tasks.create(
      smallTask({ stop: { maxRounds: 2 }, schedule: { minClients: 3, minReports: 3 } }),
    );
    const asAdmin = { authorization: `Bearer ${secrets.adminToken}` };
    const issued = await fetch(`${url}${routes.enrolmentTokens.path()}`, {
      method: "POST",
      headers: { ...asAdmin, "content-type": "application/json" },
      body: "{}",
    });
    enrolmentToken = ((await issued.json()) as { token: string }).token;
    const recorded: typeof fetch = async (input, init) => {
      say(typeof input === "string" ? input : "no string");
      return fetch(input, init);
    };
    const signed = async () => {
      const jwt = await provider.sign(subject);
      jwts.push(jwt);
      return jwt;
    };
    const clients = [secrets.clientToken, signed, enrolmentToken].map((token) => {
      const clientKey = createClientKey();
      keys.push(clientKey);
      return createClient({ url, backoff, clientKey, token, fetch: recorded });
    });
    const participants = clients.map((client) => client.join(TASK, { trainer: countingTrainer() }));
    for (const participant of participants) {
      for (const name of ["assigned", "reported", "closed", "error", "ended"] as const) {
        participant.on(name, (value: unknown) => say(value));
      }
    }
    for (const { done } of participants) {
      expect(await within("the end", done)).toEqual(AT_THE_END);
    }
    // Wrong ones, nearly right ones, and right ones in the wrong place.
    const wrong = [
      ...Object.values(secrets).map((secret) => `${secret}x`),
      `${jwts[0]!.slice(0, -4)}AAAA`,
      await provider.sign(subject, -5),
      `${enrolmentToken.slice(0, -1)}${enrolmentToken.endsWith("A") ? "B" : "A"}`,
      enrolmentToken,
    ];
    jwts.push(wrong[4]!);
    for (const token of wrong) {
      say(await connectRaw(url, { token }).catch((error: unknown) => error));
    }
    const everyBearer = [...Object.values(secrets), jwts[0]!, keys[2]!, ...wrong];
    const roundId = "small.1";
    const modelVersion = "latest";
    for (const path of [
      routes.tasks.path(),
      routes.rounds.path({ taskId: TASK }),
      routes.round.path({ roundId }),
      routes.model.path({ taskId: TASK, modelVersion }),
      routes.enrolmentTokens.path(),
      routes.audit.path(),
      routes.keys.path(),
      routes.metrics.path(),
      routes.openapi.path(),
    ]) {
      for (const bearer of everyBearer) {
        const answer = await fetch(`${url}${path}`, {
          headers: { authorization: `Bearer ${bearer}` },
        });
        say([...answer.headers].flat());
        said.push(await answer.text());
      }
    }
    for (const bearer of everyBearer) {
      const answer = await fetch(`${url}${routes.pauseTask.path({ taskId: TASK })}`, {
        method: "POST",
        headers: { authorization: `Bearer ${bearer}` },
      });
      said.push(await answer.text());
    }
    await Promise.all(clients.map((client) => client.close()));
  }
  const forbidden = [
    ...Object.values(secrets),
    ...keys,
    enrolmentToken.slice(5),
    subject,
    ...jwts.flatMap((jwt) => jwt.split(".").slice(1)),
  ];
  const shown = said.join("\n");
  expect(said.length).toBeGreaterThan(100);
  expect(shown).toContain("small.1");
  expect(shown).toContain("/v1/checkpoints/");
  expect(shown).not.toContain("no string");
  for (const secret of forbidden) expect(shown).not.toContain(secret);
  const files = await readdir(folder.path, { recursive: true, withFileTypes: true });
  const contents = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map(async (file) => ({
        name: file.name,
        text: (await readFile(join(file.parentPath, file.name))).toString("latin1"),
      })),
  );
  expect(contents.map(({ name }) => name)).toContain("tributary.sqlite");
  for (const { name, text } of contents) {
    for (const secret of forbidden) expect(text.includes(secret), `${name} ${secret}`).toBe(false);
  }
});
