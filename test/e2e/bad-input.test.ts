import {
  encodeUpdate,
  FRAME_HEADER_BYTES,
  MAX_METRICS_BYTES,
  maxFrameBytes,
} from "@tributary/protocol";
import type { Assignment, Layout, TaskId, Update } from "@tributary/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const good = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };

let running: RunningCoordinator;
let honest: RawClient;
let hostile: RawClient;
let layout: Layout;
/** What the hostile client has counted by the end of the test. */
let hostileSends: Update;
let places: { honest: Assignment; hostile: Assignment };

beforeEach(async () => {
  hostileSends = good;
  running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask());
  honest = await connectRaw(running.url);
  hostile = await connectRaw(running.url);
  const [reply] = await Promise.all([honest.checkIn(TASK), hostile.checkIn(TASK)]);
  layout = reply.task.layout;
  const [mine, theirs] = await Promise.all([honest.nextAssignment(), hostile.nextAssignment()]);
  places = { honest: mine, hostile: theirs };
});

/** Whatever was sent: the round still ends, with exactly the updates that were sound. */
afterEach(async () => {
  await honest.report(places.honest, layout, good);
  await using repentant = await connectRaw(running.url, { clientKey: hostile.clientKey });
  await repentant.report(places.hostile, layout, hostileSends);
  const round = await running.roundEnded(1);
  expect(round).toMatchObject({ phase: "committed", participants: { reported: 2 } });
  await honest[Symbol.asyncDispose]();
  await hostile[Symbol.asyncDispose]();
  await running[Symbol.asyncDispose]();
});

/** A good frame, changed. */
function frame(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array<ArrayBuffer> {
  const bytes = encodeUpdate(layout, good);
  change(bytes, new DataView(bytes.buffer));
  return bytes;
}

async function refuses(body: BodyInit, code: string, token?: string) {
  const answer = await hostile.put(places.hostile, body, token);
  expect(answer.body.code).toBe(code);
  expect(JSON.stringify(answer.body)).not.toContain("stack");
}

describe("updates", () => {
  test("[BI1] garbage, text, empty and short bodies are malformed", async () => {
    await refuses(new Uint8Array(1_000).fill(0xc1), "MALFORMED_MESSAGE");
    await refuses("a text frame", "MALFORMED_MESSAGE");
    await refuses(new Uint8Array(0), "MALFORMED_MESSAGE");
    await refuses(encodeUpdate(layout, good).slice(0, FRAME_HEADER_BYTES - 1), "MALFORMED_MESSAGE");
    await refuses(encodeUpdate(layout, good).slice(0, -4), "MALFORMED_MESSAGE");
  });

  test("[BI1] every flipped byte of the header is noticed", async () => {
    const harmless = new Set([12, 13, 14, 15]); // numExamples: any value but 0 is one
    for (let i = 0; i < FRAME_HEADER_BYTES; i++) {
      if (harmless.has(i)) continue;
      const answer = await hostile.put(
        places.hostile,
        frame((bytes) => void (bytes[i]! ^= 0x55)),
      );
      expect([400, 413, 422], `byte ${i}`).toContain(answer.status);
    }
  });

  test("[BI2] a wrong tensor count or shape does not fit the layout", async () => {
    const shorter = { ...layout, parameterCount: 6 };
    await refuses(
      encodeUpdate(shorter, { ...good, delta: new Float32Array(6) }),
      "UPDATE_LAYOUT_MISMATCH",
    );
    const foreign = { ...layout, digest: "0".repeat(64) as Layout["digest"] };
    await refuses(encodeUpdate(foreign, good), "UPDATE_LAYOUT_MISMATCH");
  });

  test("[BI3] NaN and infinities are refused and never reach the sum", async () => {
    for (const poison of [Number.NaN, Infinity, -Infinity]) {
      const delta = Float32Array.from(good.delta);
      delta[6] = poison;
      await refuses(encodeUpdate(layout, { ...good, delta }), "UPDATE_NOT_FINITE");
    }
  });

  test("[BI4] an update of norm zero is an update like any other", async () => {
    const zero = { ...good, delta: new Float32Array(7) };
    expect(await hostile.report(places.hostile, layout, zero)).toMatchObject({
      status: "accepted",
    });
    hostileSends = zero;
  });

  test("[BI4] a second and different update is a conflict; the first one counts", async () => {
    const other = { ...good, delta: new Float32Array(7).fill(3) };
    await hostile.report(places.hostile, layout, other);
    await refuses(encodeUpdate(layout, good), "UPDATE_CONFLICT");
    hostileSends = other;
  });

  test("[BI5] no examples, and metrics that are not what they should be, are malformed", async () => {
    await refuses(encodeUpdate(layout, { ...good, numExamples: 0 }), "MALFORMED_MESSAGE");
    const metrics = { trainLoss: "low" } as never;
    await refuses(encodeUpdate(layout, { ...good, metrics }), "MALFORMED_MESSAGE");
    await refuses(
      encodeUpdate(layout, { ...good, metrics: { extra: 1 } as never }),
      "MALFORMED_MESSAGE",
    );
    const evaluation = {
      numExamples: 1,
      lossSum: 1,
      truePositives: [1],
      falsePositives: [0],
      falseNegatives: [0],
    };
    await refuses(encodeUpdate(layout, { ...good, metrics: { evaluation } }), "MALFORMED_MESSAGE");
  });

  test("[BI6] a payload over the limit is refused with UPDATE_TOO_LARGE, announced or not", async () => {
    const tooLong = new Uint8Array(maxFrameBytes(layout) + 1);
    await refuses(tooLong, "UPDATE_TOO_LARGE");
    await refuses(
      frame((_, view) => view.setUint32(48, MAX_METRICS_BYTES + 4, true)),
      "UPDATE_TOO_LARGE",
    );
  });

  test("[BI7] no token, a forged one, another client's or another round's token admit nobody", async () => {
    const body = encodeUpdate(layout, good);
    await refuses(body, "UNAUTHENTICATED", "");
    await refuses(body, "UNAUTHENTICATED", `${places.hostile.update.token.slice(0, -4)}AAAA`);
    // One client's token stands for that client, whoever sends it: the participant is the token's.
    const stolen = places.honest.update.token.replace(/~[A-Za-z0-9_-]+~/, (part) =>
      part.toUpperCase(),
    );
    if (stolen !== places.honest.update.token) await refuses(body, "UNAUTHENTICATED", stolen);
    const future = {
      ...places.hostile,
      update: { ...places.hostile.update, url: "/v1/rounds/small.99/update" },
    };
    expect((await hostile.put(future, body)).status).toBe(401);
    const unknown = {
      ...places.hostile,
      update: { ...places.hostile.update, url: "/v1/rounds/nowhere.1/update" },
    };
    expect((await hostile.put(unknown, body)).body.code).toBe("ROUND_NOT_FOUND");
    // Whoever has no token of ours does not learn from it which tasks there are.
    for (const token of ["", "small.1~someone~1~AAAA"]) {
      const [there, nowhere] = [places.hostile, unknown].map((at) => hostile.put(at, body, token));
      expect(await nowhere).toEqual(await there);
      expect(await nowhere).toMatchObject({ status: 401, body: { code: "UNAUTHENTICATED" } });
    }
    const senseless = {
      ...places.hostile,
      update: { ...places.hostile.update, url: "/v1/rounds/../update" },
    };
    expect((await hostile.put(senseless, body)).status).toBeGreaterThanOrEqual(400);
  });
});

describe("messages", () => {
  test("[BI8] unknown events, unknown fields, wrong types and foreign versions get their code", async () => {
    const refused = (event: string, ...args: unknown[]) =>
      expect(hostile.ask(event, ...args)).rejects;
    await refused("launch", {}).toMatchObject({ code: "MALFORMED_MESSAGE" });
    await refused("checkin", "text").toMatchObject({ code: "MALFORMED_MESSAGE" });
    await refused("checkin").toMatchObject({ code: "MALFORMED_MESSAGE" });
    await refused("checkin", { protocolVersion: 1, taskId: TASK, more: 1 }).toMatchObject({
      code: "MALFORMED_MESSAGE",
    });
    await refused("checkin", { protocolVersion: 99, taskId: TASK }).toMatchObject({
      code: "PROTOCOL_VERSION_UNSUPPORTED",
    });
    await refused("checkin", { protocolVersion: 1, taskId: "nowhere" }).toMatchObject({
      code: "TASK_NOT_FOUND",
    });
    await refused("decline", { roundId: "small.99" }).toMatchObject({ code: "ROUND_CLOSED" });
    await refused("decline", { roundId: "../../etc" }).toMatchObject({ code: "MALFORMED_MESSAGE" });
  });

  test("[BI8] events without a callback and binary events harm nobody", async () => {
    hostile.socket.emit("checkin");
    hostile.socket.emit("launch", new Uint8Array(100));
    hostile.socket.emit("checkin", new Uint8Array(100), new Uint8Array(100));
    hostile.socket.emit("disconnect_", null);
    await expect(hostile.ask("watch", { protocolVersion: 1, taskId: TASK })).resolves.toMatchObject(
      {
        taskId: TASK,
      },
    );
  });

  test("[BI9] an oversized control message closes its sender's connection and nobody else's", async () => {
    const gone = new Promise((resolve) => hostile.socket.once("disconnect", resolve));
    hostile.socket.emit("checkin", { protocolVersion: 1, taskId: "x".repeat(4_000_000) });
    await gone;
    await expect(honest.ask("watch", { protocolVersion: 1, taskId: TASK })).resolves.toBeTruthy();
  });

  test("[BI10] a handshake without a proper key, or with more than it may carry, is refused", async () => {
    await expect(connectRaw(running.url, { clientKey: "short" })).rejects.toMatchObject({
      code: "MALFORMED_MESSAGE",
    });
  });
});
