/** A coordinator with one private task, some clients that do well and some that do not, and all that can be read. */

import type { Assignment, Layout, TaskSpecInput } from "@tributary/protocol";
import { createLayout, encodeUpdate, parseTaskId, routes } from "@tributary/protocol";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw } from "../support/raw-client.ts";

export const TOKENS = {
  clientToken: "the-token-of-clients-in-this-test",
  viewerToken: "the-token-of-viewers-in-this-test",
  adminToken: "the-token-of-operators-in-this-test",
};

export interface Figures {
  /** Of the first round. */
  readonly reports: number;
  readonly refusals: number;
  readonly declined: number;
  /** They take part in the second round, which is open when everything is read. */
  readonly later: number;
}

export interface Logged {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

export interface World extends AsyncDisposable {
  readonly running: RunningCoordinator;
  readonly logged: readonly Logged[];
  /** What a client that is in both rounds was sent, and the answers it got. */
  readonly heard: readonly unknown[];
}

/** The same client in every world, so that what it hears can be compared. */
const OBSERVER_KEY = "O".repeat(42) + "A";
const ROUND_MS = 60_000;

export const privateTask = (overrides: Partial<TaskSpecInput> = {}): TaskSpecInput =>
  smallTask({
    taskId: "private",
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 100 },
    clippingNorm: 1,
    sampler: { kind: "poisson", samplingRate: 1, population: 40 },
    ...overrides,
    schedule: {
      // More than there are: a round begins at the deadline, with everybody who is there.
      minClients: 40,
      minReports: 2,
      selectionDeadlineMs: 3_000,
      reportWindowMs: ROUND_MS,
      ...overrides.schedule,
    },
  });

export async function openWorld({ reports, refusals, declined, later }: Figures): Promise<World> {
  const logged: Logged[] = [];
  const log = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const running = await startCoordinator({
    logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    config: { auth: TOKENS },
  });
  const clients: RawClient[] = [];
  const close = async () => {
    for (const client of clients) client.socket.close();
    await running.coordinator.close();
  };
  try {
    const spec = privateTask();
    await running.coordinator.tasks.create(spec);
    const layout = await createLayout(spec.model.tensors);
    const connect = async (clientKey?: string) => {
      const client = await connectRaw(running.url, {
        token: TOKENS.clientToken,
        ...(clientKey === undefined ? {} : { clientKey }),
      });
      clients.push(client);
      return client;
    };
    const others = (count: number) => Promise.all(Array.from({ length: count }, () => connect()));

    const heard: unknown[] = [];
    const observer = await connect(OBSERVER_KEY);
    observer.socket.onAny((...message: unknown[]) => heard.push(message));
    const first = [...(await others(reports - 1)), ...(await others(refusals + declined))];
    heard.push(await observer.checkIn("private"));
    await Promise.all(first.map((client) => client.checkIn("private")));
    const places = await Promise.all([observer, ...first].map((client) => client.nextAssignment()));
    const next = await others(later);
    await Promise.all(next.map((client) => client.checkIn("private")));

    const all = [observer, ...first];
    for (const [i, client] of all.entries()) {
      const place = places[i] as Assignment;
      if (i < reports)
        heard.push(...only(client === observer, await report(client, place, layout)));
      else if (i < reports + refusals) await misreport(client, place, layout);
      else await client.ask("decline", { roundId: place.roundId });
    }
    heard.push(await observer.nextClosed());
    heard.push(await observer.checkIn("private"));
    const again = await Promise.all([observer, ...next].map((client) => client.nextAssignment()));
    // Somebody has reported, so that there is progress that nobody else may see.
    await report(next[0] as RawClient, again[1] as Assignment, layout);
    return { running, logged, heard, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

const only = <T>(keep: boolean, value: T): T[] => (keep ? [value] : []);

const report = (client: RawClient, place: Assignment, layout: Layout) =>
  client.report(place, layout, {
    delta: new Float32Array(layout.parameterCount).fill(0.25),
    numExamples: 1,
    metrics: { trainLoss: 0.5 },
  });

async function misreport(client: RawClient, place: Assignment, layout: Layout): Promise<void> {
  const frame = encodeUpdate(layout, {
    delta: new Float32Array(layout.parameterCount),
    numExamples: 1,
    metrics: {},
  });
  new DataView(frame.buffer).setFloat32(frame.length - 4, Number.NaN, true);
  const { body } = await client.put(place, frame);
  if (body.code !== "UPDATE_NOT_FINITE") throw new Error(`refused with ${String(body.code)}`);
}

/** Every route, and what it answers to a reader with this token. */
export async function readEverything(
  { running: { url, coordinator } }: World,
  token: string,
): Promise<ReadonlyMap<string, string>> {
  const headers = { authorization: `Bearer ${token}` };
  const taskId = parseTaskId("private");
  const { checkpoint } = await coordinator.tasks.get(taskId);
  const params: Record<string, string> = {
    ...{ taskId, roundId: "private.1", modelVersion: "latest", digest: checkpoint.digest },
    ...{ base: checkpoint.digest, tokenId: "0123456789abcdef" },
  };
  const answers = new Map<string, string>();
  for (const { pattern } of Object.values(routes)) {
    const path = pattern.replace(/:([a-zA-Z]+)/g, (_, name: string) => {
      const value = params[name];
      if (value === undefined) throw new Error(`no value for ${name} of ${pattern}`);
      return value;
    });
    // Its weights are noise, whoever asks; the stream comes below.
    if (pattern === routes.events.pattern || pattern.includes("/checkpoints/")) continue;
    const response = await fetch(`${url}${path}`, { headers });
    answers.set(`GET ${pattern}`, `${response.status} ${await response.text()}`);
  }
  answers.set("GET /v1/rounds/private.2", await textOf(`${url}/v1/rounds/private.2`, headers));
  answers.set("events", await eventsOf(`${url}${routes.events.path()}?lastEventId=0`, headers));
  return answers;
}

const textOf = async (url: string, headers: Record<string, string>) =>
  (await fetch(url, { headers })).text();

/** What the stream says up to the second round's phase of reports. */
async function eventsOf(url: string, headers: Record<string, string>): Promise<string> {
  const controller = new AbortController();
  const deadline = setTimeout(() => controller.abort(), 10_000);
  let text = "";
  try {
    const { body } = await fetch(url, { headers, signal: controller.signal });
    for await (const chunk of body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      if (/"private\.2"[^\n]*"phase":"reporting"[^\n]*\n\n/.test(text)) break;
    }
  } finally {
    clearTimeout(deadline);
    controller.abort();
  }
  return text;
}
