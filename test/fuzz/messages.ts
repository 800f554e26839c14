/** Targets: everything that comes as JSON, from clients, operators, and coordinators that lie. */

import { isDeepStrictEqual } from "node:util";

import type { Assignment, KeyRecord } from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  FederatedError,
  fromErrorPayload,
  isFederatedError,
  maxFrameBytes,
  parseKeys,
  sha256,
} from "@tributary/protocol";
import {
  CheckInSchema,
  DeclineSchema,
  HandshakeAuthSchema,
  LeaveSchema,
  WatchSchema,
} from "@tributary/protocol/schema";
import fc from "fast-check";
import { Compile } from "typebox/compile";

import { createHttp } from "../../client-sdk/src/http.ts";
import { isAck, isAssignment, isRoundClosed, REPLIES } from "../../client-sdk/src/incoming.ts";
import { checkLayout } from "../../client-sdk/src/model-fetch.ts";
import { transition } from "../../client-sdk/src/participation-machine.ts";
import type { ParticipationEvent } from "../../client-sdk/src/participation.ts";
import { startParticipation } from "../../client-sdk/src/participation.ts";
import { resolveConfig } from "../../coordinator/src/config/schema.ts";
import { resolveTaskSpec } from "../../coordinator/src/task/spec.ts";
import { damagedBytes, damagedText, spoiltJson, spoiltValue } from "./damage.ts";
import type { FuzzTarget } from "./target.ts";
import { accept, acceptAsync, hold, target } from "./target.ts";

const tensors = [
  { name: "kernel", shape: [3, 2] },
  { name: "bias", shape: [1] },
];

const SOUND_TASKS: readonly unknown[] = [
  { taskId: "small", model: { tensors } },
  {
    taskId: "private",
    model: { tensors },
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 8 },
    clippingNorm: 1,
    sampler: { kind: "poisson", samplingRate: 0.1, population: 100 },
  },
  {
    taskId: "whole",
    model: { tensors },
    plan: { epochs: 2, optimizer: { kind: "adam" }, maxExamples: 10 },
    sampler: { kind: "uniform", cohortSize: 4, seed: 1 },
    serverOptimizer: { kind: "yogi" },
    evaluation: { kind: "federated", numClasses: 2 },
    stop: { maxRounds: 3, target: { metric: "accuracy", value: 0.9 } },
    weighting: { kind: "byExamples", cap: 5 },
  },
];

const SOUND_CONFIGS: readonly unknown[] = [
  {},
  { server: { port: 0 }, storage: { kind: "memory" }, tasks: [{ spec: SOUND_TASKS[0] }] },
  {
    server: { host: "0.0.0.0", trustedProxy: true },
    auth: { clientToken: "a".repeat(20), adminToken: "b".repeat(20) },
    limits: { maxClients: 3 },
  },
];

const EVENTS_BEFORE: readonly ParticipationEvent["type"][] = ["connected", "checkedIn", "assigned"];

/** What a lying coordinator's assignment does to a client's state machine, whatever state it meets. */
function holdPlaysAlong(assignment: Assignment): void {
  let state = startParticipation();
  const honest = { ...assignment, roundNumber: 1, reported: false };
  const script: Record<string, ParticipationEvent> = {
    connected: { type: "connected" },
    checkedIn: { type: "checkedIn", assignment: honest, taskPaused: false },
    assigned: { type: "assigned", assignment },
  };
  for (const type of [...EVENTS_BEFORE, "assigned", "checkedIn", "assigned"]) {
    const step = transition(state, script[type]!);
    for (const effect of step.effects) {
      if (effect.type === "setAlarm") {
        hold(Number.isFinite(effect.delayMs) && effect.delayMs >= 0, "an alarm that rings");
      }
    }
    state = step.state;
  }
  new Headers({ authorization: `Bearer ${assignment.update.token}` });
}

/** fetch as a coordinator that lies would answer it. */
const answers = (frame: Uint8Array) =>
  fc.record({
    status: fc.constantFrom(
      200,
      200,
      200,
      201,
      204,
      206,
      301,
      304,
      400,
      401,
      409,
      429,
      500,
      503,
      599,
    ),
    body: fc.oneof(
      damagedBytes([frame]),
      damagedText([
        JSON.stringify({ roundId: "small.1", status: "accepted", duplicate: false }),
        JSON.stringify(new FederatedError("ROUND_CLOSED", "no").toProblem()),
        JSON.stringify(new FederatedError("RATE_LIMITED", "no", { retryAfterMs: 1 }).toProblem()),
      ]).map((text) => new Uint8Array(Buffer.from(text))),
    ),
    retryAfter: fc.option(
      fc.oneof(
        damagedText(["5", "Wed, 21 Oct 2065 07:28:00 GMT"]).map((text) =>
          text.replace(/[^\x20-\x7e]/g, "").trim(),
        ),
        fc.constantFrom("99999999999999999999", "-1", "1e9", "0"),
      ),
    ),
    length: fc.option(fc.constantFrom("0", "5", "99999999999", "NaN", "-1")),
  });

export async function messageTargets(): Promise<FuzzTarget[]> {
  const layout = await createLayout(tensors);
  const frame = encodeCheckpoint(layout, { modelVersion: 1, weights: new Float32Array(7) });
  const digest = await sha256(frame);
  const checkpoint = {
    modelVersion: 1,
    digest,
    bytes: frame.length,
    url: `/v1/checkpoints/${digest}`,
    signed: { manifest: "{}", publicKey: "A".repeat(43), signature: "A".repeat(86) },
  };
  const assignment = {
    taskId: "small",
    roundId: "small.2",
    roundNumber: 2,
    plan: {
      ...{ epochs: 1, batchSize: 1, learningRate: 0.1, optimizer: { kind: "sgd" }, proximalMu: 0 },
      ...{
        clippingNorm: 1,
        maxExamples: 5,
        seed: 1,
        evaluate: false,
        encoding: { kind: "float32" },
        compression: "none",
      },
    },
    checkpoint,
    update: { url: "/v1/rounds/small.2/update", token: "token", maxBytes: maxFrameBytes(layout) },
    deadlineAt: "2026-01-01T00:00:00.000Z",
    timeLeftMs: 1000,
    reported: false,
  };
  const brief = { taskId: "small", layout, checkpoint, paused: false };
  const reply = { clientId: "client", task: brief, assignment };
  const error = new FederatedError("RATE_LIMITED", "wait", { retryAfterMs: 5, details: { a: 1 } });
  const key: KeyRecord = {
    publicKey: "A".repeat(43) as KeyRecord["publicKey"],
    createdAt: "2026-01-01T00:00:00.000Z",
    previous: { publicKey: "A".repeat(43) as KeyRecord["publicKey"], signature: "A".repeat(86) },
  };
  const schemas = [CheckInSchema, DeclineSchema, HandshakeAuthSchema, LeaveSchema, WatchSchema];
  const checks = schemas.map((schema) => Compile(schema));
  const clientMessages = [
    { protocolVersion: 1, taskId: "small" },
    { roundId: "small.1" },
    { clientKey: "A".repeat(43), token: "some-token" },
    { taskId: "small" },
  ];

  return [
    target(
      "task specification",
      spoiltValue(SOUND_TASKS),
      async (input) => {
        const spec = accept(() => resolveTaskSpec(input));
        if (spec === undefined) return false;
        const again = accept(() => resolveTaskSpec(spec.value));
        hold(isDeepStrictEqual(again?.value, spec.value), "a resolved task resolves to itself");
        holdFinite(spec.value);
        const laidOut = await acceptAsync(() => createLayout(spec.value.model.tensors));
        hold(laidOut !== undefined, "its model can be laid out");
        return true;
      },
      { share: 2 },
    ),
    target(
      "configuration",
      spoiltValue(SOUND_CONFIGS),
      (input) => {
        const config = accept(() => resolveConfig(input));
        if (config === undefined) return false;
        const again = accept(() => resolveConfig(config.value));
        hold(isDeepStrictEqual(again?.value, config.value), "a resolved config resolves to itself");
        holdFinite({ ...config.value, tasks: [] });
        return true;
      },
      { share: 1 },
    ),
    target(
      "layout",
      fc.array(
        fc.record({
          name: fc.oneof(fc.constantFrom("a", "b", "", "__proto__"), fc.string({ maxLength: 4 })),
          shape: fc.array(
            fc.oneof(fc.nat(5), fc.constantFrom(1, 2 ** 15, 2 ** 29, 2 ** 53, 0.5, Number.NaN, -1)),
            { maxLength: 4 },
          ),
        }),
        { maxLength: 4 },
      ),
      async (specs) => {
        const laidOut = await acceptAsync(() => createLayout(specs));
        if (laidOut === undefined) return false;
        let offset = 0;
        for (const [i, tensor] of laidOut.value.tensors.entries()) {
          const size = specs[i]!.shape.reduce((product, dimension) => product * dimension, 1);
          hold(tensor.offset === offset && tensor.size === size, "one after the other");
          offset += size;
        }
        hold(laidOut.value.parameterCount === offset && offset <= 2 ** 29, "of this size");
        return true;
      },
      { share: 1 },
    ),
    target(
      "client message",
      fc.record({ which: fc.nat(checks.length - 1), message: spoiltJson(clientMessages) }),
      ({ which, message }) => {
        if (!checks[which]!.Check(message)) {
          hold([...checks[which]!.Errors(message)].length > 0, "a refusal has its reason");
          return false;
        }
        const size = JSON.stringify(message).length;
        hold(size < 16_384, "no accepted message is large");
        return true;
      },
      { share: 4 },
    ),
    target(
      "error payload",
      spoiltJson([error.toPayload(), error.toProblem(), null]),
      (input) => {
        const made = fromErrorPayload(input);
        hold(isFederatedError(made) && Number.isInteger(made.status), "an error of ours");
        hold(made.retryAfterMs === undefined || made.retryAfterMs >= 0, "a pause");
        hold(typeof JSON.stringify(made.toProblem()) === "string", "that can be sent on");
        return made.code !== "INTERNAL";
      },
      { share: 4 },
    ),
    target(
      "coordinator's message",
      spoiltJson([
        assignment,
        assignment,
        { taskId: "small", roundId: "small.2", outcome: "reportsClosed" },
      ]),
      (message) => {
        isRoundClosed(message);
        if (!isAssignment(message)) return false;
        holdPlaysAlong(message);
        return true;
      },
      { share: 3 },
    ),
    target(
      "coordinator's reply",
      spoiltJson([
        { ok: true, value: reply },
        { ok: true, value: brief },
        { ok: false, error: error.toPayload() },
      ]),
      async (ack) => {
        if (!isAck(ack)) return false;
        if (!ack.ok) {
          hold(isFederatedError(fromErrorPayload(ack.error)), "an error of ours");
          return false;
        }
        const { value } = ack;
        if (REPLIES.watch(value)) {
          await acceptAsync(() => checkLayout(value.layout));
          return true;
        }
        if (!REPLIES.checkin(value)) return false;
        await acceptAsync(() => checkLayout(value.task.layout));
        if (value.assignment !== undefined) holdPlaysAlong(value.assignment);
        return true;
      },
      { share: 2 },
    ),
    target(
      "coordinator's answer",
      fc.record({ answer: answers(frame), upload: fc.boolean() }),
      async ({ answer, upload }) => {
        const calledOff = new AbortController();
        const http = createHttp({
          origin: "http://coordinator.test",
          backoff: { baseMs: 0, maxMs: 0, random: () => 0 },
          requestTimeoutMs: 5_000,
          fetch: async () => {
            // A second try would be answered the same.
            setImmediate(() => calledOff.abort());
            const { status, body, retryAfter, length } = answer;
            const headers = {
              ...(retryAfter === null ? {} : { "retry-after": retryAfter }),
              ...(length === null ? {} : { "content-length": length }),
            };
            return new Response(status === 204 || status === 304 ? null : body, {
              status,
              headers,
            });
          },
        });
        const { signal } = calledOff;
        if (upload) {
          const { update } = assignment;
          const receipt = await acceptAsync(() => http.putUpdate(update, frame, { signal }));
          if (receipt === undefined) return false;
          hold(answer.status < 300, "a receipt is a success");
          hold(["accepted", "committed"].includes(receipt.value.status), "and says which");
          return true;
        }
        const got = await acceptAsync(() =>
          http.getCheckpoint(checkpoint as never, { signal, attempts: 1 }),
        );
        if (got === undefined) return false;
        hold(Buffer.compare(got.value, frame) === 0, "exactly the frame that was named");
        return true;
      },
      { share: 0.5 },
    ),
    target(
      "signing keys",
      spoiltJson([[key], [key, key]]),
      (value) => {
        const keys = parseKeys(value);
        for (const { publicKey, createdAt } of keys) {
          hold(publicKey.length === 43 && typeof createdAt === "string", "a record");
        }
        return keys.length > 0;
      },
      { share: 2 },
    ),
  ];
}

/** No number that is not one has come through. */
function holdFinite(value: unknown): void {
  if (typeof value === "number") hold(Number.isFinite(value), "every number is finite");
  if (typeof value !== "object" || value === null) return;
  for (const member of Object.values(value)) holdFinite(member);
}
