/**
 * Clients that nobody wants, each over real sockets: every one says what it did and what it was answered.
 * The codes are what the coordinator told them; `cut` stands for a connection that it ended.
 */

import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { connect } from "node:net";

import type { Assignment, Layout, TaskId } from "@tributary/protocol";
import {
  createLayout,
  encodeUpdate,
  isFederatedError,
  maxFrameBytes,
  PROTOCOL_VERSION,
  routes,
} from "@tributary/protocol";

import type { RawClient } from "../../support/raw-client.ts";
import { connectRaw } from "../../support/raw-client.ts";

export interface World {
  readonly url: string;
  readonly taskId: TaskId;
  readonly layout: Layout;
  /** Aborts when the honest ones are done. */
  readonly over: AbortSignal;
}

/** What was tried -> the answers, in order. */
export type Answers = Record<string, string[]>;
export type BadClient = (world: World, answers: Answers) => Promise<void>;

const BIG = 1_000;
const note = (answers: Answers, what: string, answer: string) =>
  void (answers[what] ??= []).push(answer);

/** The code of an error, `ok` where there was none. */
async function codeOf(saying: Promise<unknown>): Promise<string> {
  try {
    await saying;
    return "ok";
  } catch (error) {
    return isFederatedError(error) ? error.code : `not coded: ${String(error)}`;
  }
}

const delta = (layout: Layout, value: number) =>
  new Float32Array(layout.parameterCount).fill(value);
const frameOf = (layout: Layout, value: number, numExamples = 1) =>
  encodeUpdate(layout, { delta: delta(layout, value), numExamples, metrics: {} });

/** Answer of a PUT as a code; `duplicate` and `accepted` for receipts. */
async function put(
  client: RawClient,
  assignment: Assignment,
  body: BodyInit,
  token?: string,
): Promise<string> {
  try {
    const { status, body: answer } = await client.put(assignment, body, token);
    if (status === 200) return answer.duplicate === true ? "duplicate" : String(answer.status);
    return answer.code ?? `${status} without a code`;
  } catch {
    return "cut";
  }
}

/** Takes a place in round after round and does with it what it likes. */
function inEveryRound(
  play: (client: RawClient, place: Assignment, world: World, answers: Answers) => Promise<void>,
): BadClient {
  return async (world, answers) => {
    await using client = await connectRaw(world.url);
    const over = new Promise<undefined>((resolve) => {
      world.over.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    const isOver = () => world.over.aborted;
    while (!isOver()) {
      try {
        const reply = await client.checkIn(world.taskId);
        const place =
          reply.assignment ?? (await Promise.race([client.nextAssignment(60_000), over]));
        if (place === undefined) return;
        await play(client, place, world, answers);
        await client.ask("decline", { roundId: place.roundId }).catch(() => undefined);
        await Promise.race([client.nextClosed(60_000), over]);
      } catch (error) {
        if (isOver()) return;
        if (isFederatedError(error) && error.code === "TASK_ENDED") return;
        throw error;
      }
    }
  };
}

/** Not finite, without examples, with figures that nobody asked for, in the name of another. */
const lying = inEveryRound(async (client, place, { layout }, answers) => {
  const say = async (what: string, body: BodyInit) =>
    note(answers, what, await put(client, place, body));
  await say("NaN", frameOf(layout, Number.NaN));
  await say("infinite", frameOf(layout, Infinity));
  await say("no examples", frameOf(layout, BIG, 0));
  const evaluation = { numExamples: 1, lossSum: -1e300 };
  const counts = { truePositives: [1], falsePositives: [0], falseNegatives: [0] };
  await say(
    "figures",
    encodeUpdate(layout, {
      delta: delta(layout, BIG),
      numExamples: 1,
      metrics: { evaluation: { ...evaluation, ...counts } },
    }),
  );
});

/** Sends its bytes one by one, and never all of them. */
const slow = inEveryRound(async (_client, place, { url, layout, over }, answers) => {
  const frame = frameOf(layout, BIG);
  note(answers, "slow upload", await trickle(place, url, frame, over));
});

function trickle(
  place: Assignment,
  url: string,
  frame: Uint8Array,
  over: AbortSignal,
): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(new URL(place.update.url, url), {
      method: "PUT",
      headers: { authorization: `Bearer ${place.update.token}`, "content-length": frame.length },
    });
    let at = 0;
    const timer = setInterval(() => {
      if (at < frame.length - 1) sent.write(frame.subarray(at, ++at));
    }, 50);
    const end = (answer: string) => {
      clearInterval(timer);
      sent.destroy();
      resolve(answer);
    };
    over.addEventListener("abort", () => end("over"), { once: true });
    sent.on("error", () => end("cut"));
    sent.on("response", (response) => {
      let text = "";
      response.on("data", (chunk) => (text += String(chunk)));
      response.on("error", () => end("cut"));
      response.on("end", () => end((JSON.parse(text) as { code: string }).code));
    });
  });
}

/** Bytes and token of the first round, in every round that follows. */
function stale(): BadClient {
  let first: Assignment | undefined;
  return inEveryRound(async (client, place, { layout }, answers) => {
    if (first === undefined) {
      first = place;
      return;
    }
    const frame = frameOf(layout, BIG);
    note(answers, "old round", await put(client, first, frame));
    note(answers, "old token", await put(client, place, frame, first.update.token));
  });
}

/** Before it was given a place, with tokens that it made up. */
const early: BadClient = async ({ url, taskId, layout, over }, answers) => {
  await using client = await connectRaw(url);
  const guesses = [
    "",
    "guess",
    randomBytes(64).toString("base64url"),
    `${taskId}.1~someone~9999999999999~${randomBytes(32).toString("base64url")}`,
  ];
  for (let round = 1; !over.aborted; round = (round % 40) + 1) {
    const roundId = `${taskId}.${round}`;
    const place = { update: { url: routes.update.path({ roundId }) } } as Assignment;
    for (const guess of guesses) {
      note(answers, "guessed token", await put(client, place, frameOf(layout, BIG), guess));
    }
    note(answers, "early decline", await codeOf(client.ask("decline", { roundId })));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
};

/** Of another protocol, another task, another model. */
const foreign = inEveryRound(async (client, place, { taskId, layout }, answers) => {
  const other = await createLayout([{ name: "other", shape: [layout.parameterCount] }]);
  const larger = await createLayout([{ name: "other", shape: [2 * layout.parameterCount] }]);
  const wrong = { ...place, update: { ...place.update, url: "/v1/rounds/bounded.1/update" } };
  const say = async (what: string, answer: Promise<string>) => note(answers, what, await answer);
  await say("foreign layout", put(client, place, frameOf(other, BIG)));
  await say("larger layout", put(client, place, frameOf(larger, BIG)));
  await say("foreign round", put(client, wrong, frameOf(layout, BIG)));
  const message = { protocolVersion: PROTOCOL_VERSION + 98, taskId };
  await say("foreign protocol", codeOf(client.ask("checkin", message)));
  const nowhere = { protocolVersion: PROTOCOL_VERSION, taskId: "nowhere" };
  await say("foreign task", codeOf(client.ask("checkin", nowhere)));
});

/** More than it may send, announced and not. */
const oversized = inEveryRound(async (client, place, { url, layout }, answers) => {
  const limit = maxFrameBytes(layout);
  note(answers, "too long", await put(client, place, new Uint8Array(limit + 1)));
  note(answers, "much too long", await put(client, place, new Uint8Array(4_000_000)));
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
  });
  const unannounced = await fetch(new URL(place.update.url, url), {
    method: "PUT",
    headers: { authorization: `Bearer ${place.update.token}` },
    body: endless,
    duplex: "half",
  } as RequestInit).then(
    async (response) => ((await response.json()) as { code: string }).code,
    () => "cut",
  );
  note(answers, "endless", unannounced);
  const frame = frameOf(layout, BIG);
  new DataView(frame.buffer).setUint32(48, 0xfffffffc, true);
  note(answers, "length that lies", await put(client, place, frame));
});

/** Bytes that mean nothing, at every door. */
const garbage: BadClient = async (world, answers) => {
  const noise = inEveryRound(async (client, place) => {
    note(answers, "noise as update", await put(client, place, randomBytes(500)));
    note(
      answers,
      "noise as message",
      await codeOf(client.ask("checkin", { [String(Math.random())]: null })),
    );
    note(answers, "unknown event", await codeOf(client.ask("launch", 1, 2, 3)));
  });
  const knocking = async () => {
    while (!world.over.aborted) {
      note(answers, "noise as HTTP", await knock(world.url, randomBytes(300)));
      const talk = await connectRaw(world.url).then(
        (client) => client,
        () => undefined,
      );
      if (talk !== undefined) {
        const gone = new Promise((resolve) => talk.socket.once("disconnect", resolve));
        talk.socket.emit("checkin", "x".repeat(100_000));
        await gone;
        note(answers, "long message", "cut");
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };
  await Promise.all([noise(world, answers), knocking()]);
};

/** What comes back for bytes on a bare connection: the status, or that it was ended. */
function knock(url: string, bytes: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? "cut"));
    socket.end(Buffer.concat([bytes, Buffer.from("\r\n\r\n")]));
  });
}

/** Says everything twice, at once and later, and then something else. */
export const duplicate = (value: number): BadClient =>
  inEveryRound(async (client, place, { layout }, answers) => {
    const frame = frameOf(layout, value);
    const at = await Promise.all([1, 2, 3].map(() => put(client, place, frame)));
    for (const answer of at) note(answers, "at once", answer);
    note(answers, "again", await put(client, place, frame));
    note(answers, "changed", await put(client, place, frameOf(layout, BIG)));
  });

/** Far beyond the clipping norm, with a weight that nobody has. */
export const exaggerating = inEveryRound(async (client, place, { layout }, answers) => {
  const frame = frameOf(layout, 1e30, 0xffffffff);
  note(answers, "exaggeration", await put(client, place, frame));
});

export const BAD_CLIENTS: Readonly<Record<string, () => BadClient>> = {
  lying: () => lying,
  slow: () => slow,
  stale,
  early: () => early,
  foreign: () => foreign,
  oversized: () => oversized,
  garbage: () => garbage,
};
