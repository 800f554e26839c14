/** For tests of the HTTP adapter: a heart made by hand, and what was asked of it. */

import { createHash } from "node:crypto";

import type {
  AuditEntry,
  ClientId,
  Digest,
  EnrolmentTokenResource,
  KeyRecord,
  Layout,
  ModelResource,
  PrivacyResource,
  Receipt,
  RoundId,
  RoundResource,
  TaskId,
  TaskResource,
  TaskSpecInput,
} from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  FederatedError,
  routes,
  signingKeyFromSeed,
  signManifest,
} from "@tributary/protocol";

import type { SlotPool } from "../aggregation/update-slots.ts";
import { noSlots } from "../aggregation/update-slots.ts";
import { systemClock } from "../clock.ts";
import { createEventBus } from "../events/bus.ts";
import type { RateOptions } from "../limits/rates.ts";
import { createRates } from "../limits/rates.ts";
import type { AuditFact, Clock, EventFeed, EventSink, HttpDesk, ReceivedUpdate } from "../ports.ts";
import type { HttpDeps, HttpLimits, HttpMetrics } from "./deps.ts";

export const TASK = "digits" as TaskId;
export const ROUND = "digits.3" as RoundId;
/** Stands in every place of the heart where a client is known; must never be seen outside. */
export const CLIENT = "c0ffee00c0ffee00c0ffee00c0ffee00" as ClientId;
export const READER = "reader-token";
export const VIEWER = "viewer-token";
export const ADMIN = "admin-token";
export const ASSIGNMENT = "assignment-token";
export const CLIENT_KEY = "k".repeat(43);
const AT = "2026-01-02T03:04:05.678Z";

/** What records may carry by mistake: a spread of an inner object is enough. */
const leak = { clientId: CLIENT, cohort: [CLIENT] };

const evaluation = {
  source: "central",
  numExamples: 100,
  loss: 0.25,
  accuracy: 0.9,
  macro: { precision: 0.9, recall: 0.8, f1: 0.85 },
  perClass: [{ precision: 0.9, recall: 0.8, f1: 0.85, support: 100 }],
} as const;

export const roundResource: RoundResource = {
  ...leak,
  roundId: ROUND,
  taskId: TASK,
  roundNumber: 3,
  phase: "committed",
  baseModelVersion: 1,
  modelVersion: 2,
  openedAt: AT,
  endedAt: AT,
  phases: [
    { ...leak, phase: "selecting", startedAt: AT, durationMs: 40 },
    { phase: "reporting", startedAt: AT, durationMs: 2000 },
    { phase: "aggregating", startedAt: AT, durationMs: 7 },
  ],
  participants: {
    ...leak,
    selected: 3,
    reported: 2,
    pending: 0,
    declined: 0,
    left: 0,
    disconnected: 1,
    rejected: 0,
    timedOut: 0,
  },
  rejections: { UPDATE_NOT_FINITE: 1 },
  updateBytes: 4096,
  trainLoss: 0.5,
  evaluation: { ...evaluation, modelVersion: 2 },
  epsilon: 1.25,
};

export const privacyResource: PrivacyResource = {
  ...leak,
  taskId: TASK,
  mechanism: "central",
  unit: "client",
  adjacency: "add-or-remove-one",
  against: "released-models",
  noise: "fast",
  sampling: [{ claim: { kind: "poisson", samplingRate: 0.1 }, rounds: 3 }],
  epsilonWithoutAmplification: 9.5,
  warnings: [],
  noiseMultiplier: 1,
  clippingNorm: 0.5,
  samplingRate: 0.1,
  accountant: "rdp",
  delta: 1e-5,
  maxEpsilon: 8,
  epsilon: 1.25,
  rounds: 3,
  roundsLeft: 90,
  statement: "Each client is protected …",
};

/** Any hash will do here: what it must be is the store's to know. */
const hashOf = (number: number) => number.toString(16).padStart(64, "0") as Digest;
const auditEntry = (number: number, record: string): AuditEntry => ({
  ...leak,
  ...{ number, previous: hashOf(number - 1), record, hash: hashOf(number) },
});

export const ENROLMENT_TOKEN = `trbe_${"s".repeat(43)}`;
const enrolmentToken: EnrolmentTokenResource = {
  tokenId: "0123456789abcdef",
  label: "ward 7",
  state: "valid",
  uses: 3,
  used: 1,
  createdAt: AT,
  expiresAt: AT,
};

export interface FakeHeart {
  readonly deps: HttpDeps;
  readonly bus: EventSink & EventFeed;
  readonly layout: Layout;
  readonly frame: Uint8Array;
  readonly digest: Digest;
  readonly model: ModelResource;
  readonly task: TaskResource;
  /** What reached the heart, in order. */
  readonly calls: unknown[][];
  readonly reported: ReceivedUpdate[];
  readonly refused: string[];
  readonly logged: { level: string; fields: object; message: string }[];
  readonly counted: {
    received: number;
    sent: number;
    accepted: number;
    rejected: string[];
    refused: string[];
    notAllowed: string[];
  };
  /** What went into the audit log, in order. */
  readonly audited: AuditFact[];
  /** Called before anything is appended to the audit log. */
  onAudit: (fact: AuditFact) => Promise<void>;
  /** Called by `report` before it answers. */
  onCheckIn: HttpDesk["checkIn"];
  onReport: (update: ReceivedUpdate) => Promise<void>;
  onAdmit: () => Promise<void>;
  /** Where updates are put. */
  slots: SlotPool;
  ready: () => Promise<void>;
  /** Is the task under differential privacy? */
  isPrivate: boolean;
  /** Its ended rounds. */
  ended: RoundResource[];
}

export interface FakeOptions {
  readonly limits?: Partial<HttpLimits>;
  readonly protected?: boolean;
  readonly parameterCount?: number;
  /** What makes the checkpoint of the one with digest {@link BASE}. */
  readonly delta?: Uint8Array;
  /** Events that the bus remembers. */
  readonly remember?: number;
  readonly metrics?: HttpMetrics;
  readonly rates?: Partial<RateOptions>;
  readonly clock?: Clock;
  readonly peerAddress?: HttpDeps["peerAddress"];
  readonly dashboardDirectory?: string;
}

/** Of a checkpoint that a reader may have. */
export const BASE = "b".repeat(64) as Digest;

export async function createFakeHeart(options: FakeOptions = {}): Promise<FakeHeart> {
  const layout = await createLayout([{ name: "w", shape: [options.parameterCount ?? 6] }]);
  const weights = new Float32Array(layout.parameterCount).map((_, i) => i / 7);
  const frame = encodeCheckpoint(layout, { modelVersion: 2, weights });
  const digest = createHash("sha256").update(frame).digest("hex") as Digest;
  const checkpoint = {
    modelVersion: 2,
    digest,
    bytes: frame.length,
    url: routes.checkpointByDigest.path({ digest }),
    signed: await signManifest('{"format":1}', await signingKeyFromSeed(new Uint8Array(32))),
  };
  const { publicKey } = checkpoint.signed;
  const keyRecord: KeyRecord = { ...leak, publicKey, createdAt: AT };
  const model: ModelResource = {
    ...leak,
    ...checkpoint,
    taskId: TASK,
    roundNumber: 3,
    createdAt: AT,
    layoutDigest: layout.digest,
    evaluation,
  };
  const task: TaskResource = {
    ...leak,
    taskId: TASK,
    state: "running",
    createdAt: AT,
    spec: {
      taskId: TASK,
      description: "handwritten digits",
      model: { tensors: [{ name: "w", shape: [layout.parameterCount] }] },
      plan: {
        epochs: 1,
        batchSize: 10,
        learningRate: 0.1,
        optimizer: { kind: "sgd" },
        proximalMu: 0,
        encoding: { kind: "float32" },
        compression: "none",
      },
      sampler: { kind: "uniform", cohortSize: 3, overSelection: 0 },
      aggregation: { kind: "mean" },
      serverOptimizer: { kind: "sgd", learningRate: 1 },
      schedule: {
        minClients: 3,
        minReports: 2,
        selectionDeadlineMs: 1000,
        reportWindowMs: 1000,
        aggregationDeadlineMs: 1000,
        pauseBetweenRoundsMs: 0,
      },
      stop: { maxRounds: 10 },
      evaluation: { kind: "none" },
      privacy: { mechanism: "none" },
      weighting: { kind: "uniform" },
    },
    layout,
    checkpoint,
    roundsCommitted: 2,
    roundsAbandoned: 1,
    clientsWaiting: 5,
    currentRound: roundResource,
  };

  const calls: unknown[][] = [];
  const note = (...call: unknown[]) => void calls.push(call);
  const known = async (taskId: TaskId) => {
    if (taskId !== TASK) throw new FederatedError("TASK_NOT_FOUND", `no task "${taskId}"`);
    return task;
  };
  const steer = (command: string) => async (taskId: TaskId) => {
    note(command, taskId);
    return known(taskId);
  };
  const page = <T>(item: T) => ({ ...leak, items: [item], next: 3 });
  const bus = createEventBus({
    now: () => Date.parse(AT),
    firstId: 100,
    remember: options.remember ?? 10,
  });
  const counted = {
    received: 0,
    sent: 0,
    accepted: 0,
    rejected: [] as string[],
    refused: [] as string[],
    notAllowed: [] as string[],
  };

  const heart: FakeHeart = {
    isPrivate: false,
    ended: [roundResource],
    bus,
    layout,
    frame,
    digest,
    model,
    task,
    calls,
    reported: [],
    refused: [],
    logged: [],
    counted,
    audited: [],
    onAudit: async () => {},
    onReport: async () => {},
    onCheckIn: async (_client, taskId) => {
      await known(taskId);
      const { layout, checkpoint } = task;
      const brief = { ...leak, taskId, layout, checkpoint, paused: false };
      const answer = { ...leak, task: brief, comeBackInMs: 1500 };
      return { answer, ended: (isDelivered) => note("ended", isDelivered) };
    },
    onAdmit: async () => {},
    slots: noSlots,
    ready: async () => {},
    deps: {
      tasks: {
        create: async (spec: TaskSpecInput, initialWeights?: Float32Array) => {
          note("create", spec, initialWeights);
          return task;
        },
        list: async () => [task],
        get: known,
        pause: steer("pause"),
        resume: steer("resume"),
        cancel: steer("cancel"),
        rounds: async (taskId, request) => {
          note("rounds", taskId, request);
          await known(taskId);
          return page(roundResource);
        },
        endedRounds: async (taskId, { after, limit }) => {
          note("endedRounds", taskId, { after, limit });
          await known(taskId);
          return heart.ended.filter(({ roundNumber }) => roundNumber > after).slice(0, limit);
        },
        round: async (roundId) => {
          if (roundId === ("digits.13" as RoundId)) throw new Error(`secret of ${CLIENT}`);
          if (roundId === ROUND) return roundResource;
          throw new FederatedError("ROUND_NOT_FOUND", `no round ${roundId}`);
        },
        privacy: async (taskId) => {
          await known(taskId);
          return privacyResource;
        },
        isPrivate: (taskId) => taskId !== TASK || heart.isPrivate,
      },
      desk: {
        authenticate: async ({ clientKey, token }) => {
          note("authenticate", clientKey, token);
          if (clientKey !== CLIENT_KEY) throw new FederatedError("UNAUTHENTICATED", "no");
          return { clientId: CLIENT };
        },
        checkIn: (client, taskId, query, gone) => heart.onCheckIn(client, taskId, query, gone),
        decline: async (clientId, roundId) => note("decline", clientId, roundId),
      },
      tokens: {
        verify: (token, roundId) => {
          if (token !== ASSIGNMENT) throw new FederatedError("UNAUTHENTICATED", "no");
          return { roundId, clientId: CLIENT, expiresAt: 0 };
        },
      },
      backups: {
        create: async (name) => {
          note("backup", name);
          return {
            name,
            takenAt: "2026-01-02T03:04:05.000Z",
            durationMs: 12,
            databaseBytes: 4096,
            blobs: 2,
            blobBytes: 128,
            damaged: [],
          };
        },
      },
      models: {
        list: async (taskId, request) => {
          note("models", taskId, request);
          await known(taskId);
          return page(model);
        },
        get: async (taskId, version) => {
          await known(taskId);
          if (version === "latest" || version === 2) return model;
          throw new FederatedError("MODEL_NOT_FOUND", `no version ${version}`);
        },
        checkpoint: async (wanted) => {
          if (wanted === digest) return frame;
          throw new FederatedError("MODEL_NOT_FOUND", `no checkpoint ${wanted}`);
        },
        delta: async (wanted, base) =>
          wanted === digest && base === BASE ? options.delta : undefined,
      },
      keys: {
        publicKey,
        list: () => [keyRecord],
        rotate: async () => {
          note("rotate");
          return keyRecord;
        },
      },
      intake: {
        admit: async (roundId, token) => {
          note("admit", roundId, token);
          await heart.onAdmit();
          // `<ASSIGNMENT>-2` is another participant's token.
          if (token?.startsWith(ASSIGNMENT) !== true) {
            throw new FederatedError("UNAUTHENTICATED", "the assignment token is not valid");
          }
          const clientId = `${CLIENT}${token.slice(ASSIGNMENT.length)}` as ClientId;
          const participant = { roundId, taskId: TASK, clientId };
          const encoding = { kind: "float32" } as const;
          const maxBytes = frame.length + 65_536;
          const { slots } = heart;
          return { participant, layout, encoding, maxBytes, slots, leave: () => {} };
        },
        report: async ({ roundId }, update) => {
          await heart.onReport(update);
          heart.reported.push(update);
          return { ...leak, roundId, status: "accepted", duplicate: false } satisfies Receipt;
        },
        refuse: (_participant, code) => void heart.refused.push(code),
      },
      enrolment: {
        create: async (request = {}) => {
          note("issue", request);
          return { ...leak, ...enrolmentToken, token: ENROLMENT_TOKEN };
        },
        list: async (request) => {
          note("enrolment tokens", request);
          // What the store keeps of a token must not get out by mistake either.
          return { items: [{ ...leak, ...enrolmentToken, digest: "f00d" }] };
        },
        revoke: async (tokenId) => {
          note("revoke", tokenId);
          return { ...leak, ...enrolmentToken, state: "revoked", revokedAt: AT };
        },
      },
      events: bus,
      audit: {
        append: async (fact) => {
          await heart.onAudit(fact);
          const number = heart.audited.push(fact);
          return auditEntry(number, JSON.stringify(fact));
        },
        list: async ({ after = 0, limit }) =>
          heart.audited
            .map((fact, i) => auditEntry(i + 1, JSON.stringify(fact)))
            .slice(after, after + limit),
        head: async () => ({ number: heart.audited.length, hash: hashOf(heart.audited.length) }),
      },
      authenticator: {
        client: async () => ({ clientId: CLIENT }),
        reader: async (token) => {
          if (options.protected !== true || [READER, VIEWER, ADMIN].includes(token ?? "")) return;
          throw new FederatedError("UNAUTHENTICATED", "this needs a token");
        },
        assertAdmitted: async () => {},
        viewer: async (token) => {
          if (token === undefined) throw new FederatedError("UNAUTHENTICATED", "no token");
          if (token === VIEWER) return "viewer";
          if (token === ADMIN) return "operator";
          throw new FederatedError("FORBIDDEN", "not the viewer or admin token");
        },
        isOperator: async (token) => token === ADMIN,
        admin: async (token) => {
          if (token === undefined) throw new FederatedError("UNAUTHENTICATED", "no token");
          if (token !== ADMIN) throw new FederatedError("FORBIDDEN", "not the admin token");
        },
      },
      rates: createRates(
        { clock: options.clock ?? systemClock },
        {
          requestsPerSecondPerAddress: 1000,
          failedAuthenticationsPerSecondPerAddress: 1000,
          messagesPerSecond: 1000,
          checkInsPerSecond: 1000,
          checkInsPerSecondPerClient: 1000,
          ...options.rates,
        },
      ),
      peerAddress: options.peerAddress ?? ((request) => request.socket.remoteAddress ?? ""),
      edge: {
        headers: { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" },
        allowedOrigins: [],
        hostFault: () => undefined,
        originFault: () => undefined,
        refuse: (socket, { status, code }) => void socket.end(`HTTP/1.1 ${status} ${code}\r\n\r\n`),
      },
      peersAreDirect: true,
      metrics: options.metrics ?? {
        updateAccepted: () => void (counted.accepted += 1),
        updateRejected: (taskId, code) => void counted.rejected.push(`${taskId ?? "none"} ${code}`),
        refused: (limit) => void counted.refused.push(limit),
        actionRefused: (code) => void counted.notAllowed.push(code),
        bytesReceived: (bytes) => void (counted.received += bytes),
        bytesSent: (bytes) => void (counted.sent += bytes),
        contentType: "text/plain; version=0.0.4",
        render: async (audience) => `tributary_up 1\n# for ${audience}\n`,
      },
      logger: {
        debug: (fields, message) => void heart.logged.push({ level: "debug", fields, message }),
        info: (fields, message) => void heart.logged.push({ level: "info", fields, message }),
        warn: (fields, message) => void heart.logged.push({ level: "warn", fields, message }),
        error: (fields, message) => void heart.logged.push({ level: "error", fields, message }),
      },
      health: { ready: () => heart.ready() },
      limits: {
        maxBodyBytes: 10_000,
        maxConnections: 1000,
        connectionsPerAddress: 1000,
        headersTimeoutMs: 10_000,
        uploadMemoryBytes: 2 ** 28,
        minUploadBytesPerSecond: 1,
        minDownloadBytesPerSecond: 1,
        slowPeerGraceMs: 10_000,
        concurrentUploads: 4,
        queuedUploads: 4,
        uploadTimeoutMs: 5000,
        sseStreams: 3,
        sseHeartbeatMs: 10_000,
        ...options.limits,
      },
      ...(options.dashboardDirectory === undefined
        ? {}
        : { dashboardDirectory: options.dashboardDirectory }),
      readsAreProtected: options.protected === true,
      version: "1.2.3",
    },
  };
  return heart;
}
