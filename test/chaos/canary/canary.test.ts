import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Assignment, Layout } from "@tributary/protocol";
import { createLayout, encodeUpdate, maxFrameBytes, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask } from "../../support/coordinator.ts";
import type { CoordinatorProcess, ProcessOptions } from "../../support/coordinator-process.ts";
import { ADMIN_TOKEN, startCoordinatorProcess } from "../../support/coordinator-process.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { createRandom } from "../../support/random.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { connectRaw, newClientKey } from "../../support/raw-client.ts";
import type { Canary } from "./canaries.ts";
import {
  canaryVector,
  createSearch,
  formsOfDigest,
  formsOfNumber,
  formsOfSecret,
  formsOfVector,
} from "./canaries.ts";

/** Three and not one: the sum of a cohort of one is that client's own update, whoever adds it up. */
const COHORT = 3;
const schedule = {
  ...{
    minClients: COHORT,
    minReports: COHORT,
    selectionDeadlineMs: 20_000,
    reportWindowMs: 20_000,
  },
  ...{ aggregationDeadlineMs: 20_000 },
};
const PLAIN = smallTask({
  taskId: "plain",
  evaluation: { kind: "federated", numClasses: 2 },
  schedule,
});
const PRIVATE = smallTask({
  taskId: "private",
  privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 100 },
  clippingNorm: 2,
  sampler: { kind: "poisson", samplingRate: 1, population: COHORT },
  schedule,
});

const random = createRandom(20_261_125);
const canaries: Canary[] = [];
/** Where a client's pseudonym may be as well: in the store, which must know who was counted. */
const pseudonyms: Canary[] = [];
const answers: Buffer[] = [];

interface Participant {
  readonly key: string;
  readonly name: string;
}
const people = (task: string): Participant[] =>
  Array.from({ length: COHORT }, (_, i) => {
    const key = newClientKey();
    canaries.push(...formsOfSecret(`key of ${task} ${i}`, key));
    return { key, name: `${task} ${i}` };
  });

/** An update that nobody else can have sent. */
function secretUpdate(name: string, layout: Layout, options: { evaluate: boolean; clip?: number }) {
  const delta = canaryVector(random, layout.parameterCount);
  const trainLoss = 7_000 + 1_000 * random.next();
  const lossSum = 7_000 + 1_000 * random.next();
  const counts = { truePositives: [3, 2], falsePositives: [1, 1], falseNegatives: [1, 1] };
  const evaluation = { numExamples: 7, lossSum, ...counts };
  const metrics = { trainLoss, ...(options.evaluate ? { evaluation } : {}) };
  const frame = encodeUpdate(layout, { delta, numExamples: 7, metrics });
  canaries.push(
    ...formsOfVector(name, delta),
    ...formsOfNumber(`${name}, its training loss`, trainLoss),
    ...formsOfNumber(`${name}, its evaluation`, lossSum),
    ...formsOfNumber(`${name}, its mean loss`, lossSum / 7),
    ...formsOfDigest(name, frame),
  );
  if (options.clip !== undefined) {
    const norm = Math.hypot(...delta);
    const clipped = [...delta].map((value) => (value * options.clip!) / norm);
    canaries.push(...clipped.flatMap((value, i) => formsOfNumber(`${name}, clipped[${i}]`, value)));
  }
  return frame;
}

const flipped = (frame: Uint8Array, at: number) =>
  frame.map((byte, i) => (i === at ? byte ^ 0xff : byte));

/** Everything that is refused, with secrets in it as well. */
async function misbehave(client: RawClient, place: Assignment, layout: Layout, evaluate: boolean) {
  const say = async (body: Uint8Array, code: string) => {
    const answer = await client.put(place, body as Uint8Array<ArrayBuffer>);
    answers.push(Buffer.from(JSON.stringify(answer)));
    expect(answer.body.code).toBe(code);
  };
  const secret = () => secretUpdate("a refused one", layout, { evaluate });
  const notFinite = secret();
  new DataView(notFinite.buffer).setFloat32(notFinite.length - 4, Number.NaN, true);
  canaries.push(...formsOfDigest("one with NaN", notFinite));
  await say(notFinite, "UPDATE_NOT_FINITE");
  await say(flipped(secret(), 20), "UPDATE_LAYOUT_MISMATCH");
  await say(flipped(secret(), 70), "MALFORMED_MESSAGE");
  await say(
    new Uint8Array(Buffer.concat([secret(), Buffer.alloc(maxFrameBytes(layout))])),
    "UPDATE_TOO_LARGE",
  );
  await say(secret().subarray(0, 80), "MALFORMED_MESSAGE");
  await say(
    new TextEncoder().encode(JSON.stringify([...canaryVector(random, 3)])),
    "MALFORMED_MESSAGE",
  );
}

interface Seat {
  readonly client: RawClient;
  readonly place: Assignment;
}

async function takeSeats(
  url: string,
  taskId: string,
  cohort: readonly Participant[],
): Promise<Seat[]> {
  const clients = await Promise.all(cohort.map(({ key }) => connectRaw(url, { clientKey: key })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(taskId)));
  return Promise.all(
    clients.map(async (client, i) => {
      const place = replies[i]!.assignment ?? (await client.nextAssignment());
      pseudonyms.push({
        name: `id of ${cohort[i]!.name}`,
        bytes: Buffer.from(replies[i]!.clientId),
      });
      const mac = place.update.token.split(/[~.]/).at(-1)!;
      canaries.push({ name: `token of ${cohort[i]!.name}`, bytes: Buffer.from(mac) });
      return { client, place };
    }),
  );
}

/** Everything that the API answers, to an operator and to nobody in particular. */
async function readEverything(url: string, roundId: string): Promise<void> {
  const taskId = roundId.split(".")[0]!;
  const models = (await (await fetch(url + routes.models.path({ taskId }))).json()) as {
    items: { digest: string }[];
  };
  const params: Record<string, string> = {
    ...{ taskId, roundId, modelVersion: "latest", digest: models.items[0]!.digest },
    ...{ base: models.items.at(-1)!.digest, tokenId: "none" },
  };
  for (const { pattern } of Object.values(routes)) {
    const path = pattern.replace(/:([a-zA-Z]+)/g, (_, name: string) => {
      expect(params, `a value for ${pattern}`).toHaveProperty(name);
      return params[name]!;
    });
    for (const headers of [{}, { authorization: `Bearer ${ADMIN_TOKEN}` }]) {
      answers.push(await readAnswer(`${url}${path}`, headers));
    }
  }
  answers.push(await readAnswer(`${url}${routes.events.path()}?lastEventId=0`, {}));
}

/** The whole answer; of a stream, what it says until it has nothing more to say. */
async function readAnswer(url: string, headers: Record<string, string>): Promise<Buffer> {
  const controller = new AbortController();
  const response = await fetch(url, { headers, signal: controller.signal });
  const parts = [Buffer.from(JSON.stringify([...response.headers]))];
  const endless = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rewind = () => {
    clearTimeout(timer);
    if (endless) timer = setTimeout(() => controller.abort(), 300);
  };
  rewind();
  try {
    for await (const chunk of response.body ?? []) {
      rewind();
      parts.push(Buffer.from(chunk as Uint8Array));
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(parts);
}

/** Every file of a folder, write-ahead log and free pages included. */
async function filesOf(directory: string): Promise<{ path: string; bytes: Buffer }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return { path, bytes: await readFile(path) };
      }),
  );
}

test("[AT8] no value, digest, measurement, key or token of a client is in any file, log, answer, event or message, after refusals, commits and kill -9", async () => {
  await using folder = await temporaryFolder();
  const options: ProcessOptions = {
    ...{ directory: folder.path, tasks: [PLAIN, PRIVATE], logLevel: "debug" },
    config: { timing: { abandonedRetryMs: 50 } },
  };
  const layout = await createLayout(PLAIN.model.tensors);
  const leaks: string[] = [];
  const scanFiles = async () => {
    const files = await filesOf(join(folder.path, "data"));
    expect(files.length).toBeGreaterThan(3);
    const search = createSearch(canaries);
    for (const { path, bytes } of files) leaks.push(...search(path, bytes));
  };
  const logs: string[] = [];
  const cohorts = new Map([PLAIN, PRIVATE].map(({ taskId }) => [taskId, people(taskId)]));
  let running: CoordinatorProcess = await startCoordinatorProcess(options);
  try {
    for (const crash of [false, true]) {
      for (const { taskId, clippingNorm } of [PLAIN, PRIVATE]) {
        const cohort = cohorts.get(taskId)!;
        const evaluate = taskId === "plain";
        const clip = clippingNorm === undefined ? {} : { clip: clippingNorm };
        let seats = await takeSeats(running.url, taskId, cohort);
        await using watcher = await connectRaw(running.url);
        watcher.socket.onAny((...message: unknown[]) => {
          answers.push(Buffer.from(JSON.stringify(message)));
        });
        answers.push(
          Buffer.from(JSON.stringify(await watcher.ask("watch", { protocolVersion: 1, taskId }))),
        );
        const frames = cohort.map(({ name }) => secretUpdate(name, layout, { evaluate, ...clip }));
        await misbehave(seats[0]!.client, seats[0]!.place, layout, evaluate);
        const send = async (index: number) => {
          const { client, place } = seats[index]!;
          const answer = await client.put(place, frames[index]!);
          answers.push(Buffer.from(JSON.stringify(answer)));
          expect(answer.status, JSON.stringify(answer.body)).toBe(200);
        };
        await send(0);
        const other = secretUpdate("a conflicting one", layout, { evaluate });
        const conflict = await seats[0]!.client.put(seats[0]!.place, other);
        answers.push(Buffer.from(JSON.stringify(conflict)));
        expect(conflict.body.code).toBe("UPDATE_CONFLICT");
        await send(1);
        if (crash) {
          await readEverything(running.url, seats[0]!.place.roundId);
          await running.kill();
          logs.push(running.output());
          await scanFiles();
          running = await startCoordinatorProcess(options);
          seats = await takeSeats(running.url, taskId, cohort);
          await Promise.all([0, 1].map(send));
        }
        await send(2);
        const closed = await Promise.all(seats.map(({ client }) => client.nextClosed(20_000)));
        for (const message of closed) expect(message).toMatchObject({ outcome: "committed" });
        await readEverything(running.url, seats[0]!.place.roundId);
        await Promise.all(seats.map(({ client }) => client[Symbol.asyncDispose]()));
      }
    }
    // As it lies while the coordinator runs, and as it is left: closing tidies the write-ahead log up.
    await scanFiles();
    await running.stop();
    await scanFiles();
  } finally {
    await running.kill();
  }
  logs.push(running.output());

  const search = createSearch([...canaries, ...pseudonyms]);
  for (const log of logs) leaks.push(...search("log", Buffer.from(log)));
  for (const answer of answers) leaks.push(...search("answer", answer));
  expect([...new Set(leaks)]).toEqual([]);
  expect(answers.length).toBeGreaterThan(100);
  expect(canaries.length).toBeGreaterThan(1_000);
}, 300_000);

test("[AT9] the scan finds a canary in whatever form it leaks", () => {
  const vector = canaryVector(createRandom(1), 7);
  const frame = new Uint8Array(Buffer.concat([Buffer.alloc(65), Buffer.from(vector.buffer)]));
  const own = [...formsOfVector("v", vector), ...formsOfDigest("v", frame)];
  const key = newClientKey();
  const leaks: Buffer[] = [
    Buffer.from(frame),
    Buffer.from(new Float64Array(vector).buffer),
    Buffer.from(JSON.stringify({ delta: [...vector] })),
    Buffer.from(vector[3]!.toFixed(3)),
    Buffer.from(`${vector[2]!}`),
    Buffer.from(Buffer.from(frame).toString("base64")),
    Buffer.from(Buffer.from(frame).toString("base64url")),
    Buffer.from(Buffer.from(frame).toString("hex")),
    Buffer.from(key),
  ];
  for (const [i, leak] of leaks.entries()) {
    const search = createSearch([...own, ...formsOfSecret("key", key)]);
    expect(search("leak", leak).length, `form ${i}`).toBeGreaterThan(0);
  }
  const innocent = Buffer.from(JSON.stringify({ loss: 0.73914839, rounds: 7391, seconds: 7391.5 }));
  expect(createSearch(own)("nothing", innocent)).toEqual([]);
});
