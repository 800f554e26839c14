import type { Static } from "typebox";
import { Compile } from "typebox/compile";
import { describe, expect, expectTypeOf, it } from "vitest";

import type {
  AuditEntry,
  AuditHead,
  AuditPage,
  BackupResource,
  Assignment,
  CheckIn,
  CheckInQuery,
  HttpCheckInReply,
  CheckpointRef,
  ClientId,
  Decline,
  Digest,
  EnrolmentTokenResource,
  ErrorCode,
  ErrorPayload,
  Evaluation,
  HandshakeAuth,
  IssuedEnrolmentToken,
  KeyRecord,
  KeysResource,
  Layout,
  Leave,
  ModelResource,
  MonitoringEvent,
  Page,
  PlainTaskSpec,
  PrivacyResource,
  PrivateTaskSpec,
  Problem,
  PublicKey,
  Receipt,
  RoundId,
  RoundResource,
  TaskHistory,
  SignedManifest,
  TaskId,
  TaskResource,
  TaskSpec,
  TaskSpecInput,
  Watch,
} from "./index.ts";
import { ERROR_CODES, FederatedError } from "./index.ts";
import * as schema from "./schema.ts";

/** The type without `readonly` and with intersections resolved: what a schema can express. */
type Plain<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? Plain<Item>[]
    : unknown extends T
      ? T
      : { -readonly [K in keyof T]: Plain<T[K]> };
type StaticOf<K extends keyof typeof schema> = Plain<Static<(typeof schema)[K] & object>>;

const KEY = "A".repeat(43);

describe("schemas and interfaces", () => {
  it("[PR1] say the same of every id", () => {
    expectTypeOf<Static<typeof schema.TaskIdSchema>>().toEqualTypeOf<TaskId>();
    expectTypeOf<Static<typeof schema.ClientIdSchema>>().toEqualTypeOf<ClientId>();
    expectTypeOf<Static<typeof schema.RoundIdSchema>>().toEqualTypeOf<RoundId>();
    expectTypeOf<Static<typeof schema.DigestSchema>>().toEqualTypeOf<Digest>();
    expectTypeOf<Static<typeof schema.PublicKeySchema>>().toEqualTypeOf<PublicKey>();
    expectTypeOf<Static<typeof schema.ErrorCodeSchema>>().toEqualTypeOf<ErrorCode>();
  });

  it("[PR1] say the same of every client message and task", () => {
    expectTypeOf<StaticOf<"HandshakeAuthSchema">>().toEqualTypeOf<Plain<HandshakeAuth>>();
    expectTypeOf<StaticOf<"CheckInSchema">>().toEqualTypeOf<Plain<CheckIn>>();
    expectTypeOf<StaticOf<"WatchSchema">>().toEqualTypeOf<Plain<Watch>>();
    expectTypeOf<StaticOf<"DeclineSchema">>().toEqualTypeOf<Plain<Decline>>();
    expectTypeOf<StaticOf<"LeaveSchema">>().toEqualTypeOf<Plain<Leave>>();
    expectTypeOf<StaticOf<"CheckInQuerySchema">>().toEqualTypeOf<Plain<CheckInQuery>>();
    expectTypeOf<StaticOf<"AssignmentSchema">>().toEqualTypeOf<Plain<Assignment>>();
    expectTypeOf<StaticOf<"HttpCheckInReplySchema">>().toEqualTypeOf<Plain<HttpCheckInReply>>();
    expectTypeOf<StaticOf<"PlainTaskSpecSchema">>().toEqualTypeOf<Plain<PlainTaskSpec>>();
    expectTypeOf<StaticOf<"PrivateTaskSpecSchema">>().toEqualTypeOf<Plain<PrivateTaskSpec>>();
    expectTypeOf<StaticOf<"TaskSpecSchema">>().toEqualTypeOf<Plain<TaskSpec>>();
    expectTypeOf<StaticOf<"TaskSpecInputSchema">>().toEqualTypeOf<Plain<TaskSpecInput>>();
  });

  it("[PR1] say the same of every resource", () => {
    expectTypeOf<StaticOf<"ErrorPayloadSchema">>().toEqualTypeOf<Plain<ErrorPayload>>();
    expectTypeOf<StaticOf<"ProblemSchema">>().toEqualTypeOf<Plain<Problem>>();
    expectTypeOf<StaticOf<"EvaluationSchema">>().toEqualTypeOf<Plain<Evaluation>>();
    expectTypeOf<StaticOf<"LayoutSchema">>().toEqualTypeOf<Plain<Layout>>();
    expectTypeOf<StaticOf<"SignedManifestSchema">>().toEqualTypeOf<Plain<SignedManifest>>();
    expectTypeOf<StaticOf<"KeyRecordSchema">>().toEqualTypeOf<Plain<KeyRecord>>();
    expectTypeOf<StaticOf<"KeysResourceSchema">>().toEqualTypeOf<Plain<KeysResource>>();
    expectTypeOf<StaticOf<"CheckpointRefSchema">>().toEqualTypeOf<Plain<CheckpointRef>>();
    expectTypeOf<StaticOf<"ModelResourceSchema">>().toEqualTypeOf<Plain<ModelResource>>();
    expectTypeOf<StaticOf<"RoundResourceSchema">>().toEqualTypeOf<Plain<RoundResource>>();
    expectTypeOf<StaticOf<"TaskHistorySchema">>().toEqualTypeOf<Plain<TaskHistory>>();
    expectTypeOf<StaticOf<"EnrolmentTokenSchema">>().toEqualTypeOf<Plain<EnrolmentTokenResource>>();
    expectTypeOf<StaticOf<"IssuedEnrolmentTokenSchema">>().toEqualTypeOf<
      Plain<IssuedEnrolmentToken>
    >();
    expectTypeOf<StaticOf<"ReceiptSchema">>().toEqualTypeOf<Plain<Receipt>>();
    expectTypeOf<StaticOf<"TaskResourceSchema">>().toEqualTypeOf<Plain<TaskResource>>();
    expectTypeOf<StaticOf<"PrivacyResourceSchema">>().toEqualTypeOf<Plain<PrivacyResource>>();
    expectTypeOf<StaticOf<"RoundPageSchema">>().toEqualTypeOf<Plain<Page<RoundResource>>>();
    expectTypeOf<StaticOf<"ModelPageSchema">>().toEqualTypeOf<Plain<Page<ModelResource>>>();
    expectTypeOf<StaticOf<"AuditEntrySchema">>().toEqualTypeOf<Plain<AuditEntry>>();
    expectTypeOf<StaticOf<"AuditHeadSchema">>().toEqualTypeOf<Plain<AuditHead>>();
    expectTypeOf<StaticOf<"AuditPageSchema">>().toEqualTypeOf<Plain<AuditPage>>();
    expectTypeOf<StaticOf<"BackupResourceSchema">>().toEqualTypeOf<Plain<BackupResource>>();
    expectTypeOf<StaticOf<"MonitoringEventSchema">>().toEqualTypeOf<Plain<MonitoringEvent>>();
  });

  it("[PR1] name every type of event", () => {
    expect(schema.MONITORING_EVENT_TYPES).toEqual([
      "task:created",
      "task:stateChanged",
      "round:phaseChanged",
      "round:progress",
      "model:published",
    ]);
  });
});

describe("client messages", () => {
  const messages = [
    ["HandshakeAuth", schema.HandshakeAuthSchema, { clientKey: KEY, token: "t" }],
    ["CheckIn", schema.CheckInSchema, { protocolVersion: 1, taskId: "digits" }],
    ["Watch", schema.WatchSchema, { protocolVersion: 1, taskId: "digits" }],
    ["Decline", schema.DeclineSchema, { roundId: "digits.7" }],
    ["Leave", schema.LeaveSchema, { taskId: "digits" }],
  ] as const;

  it.each(messages)(
    "[PR2] %s is taken whole and refused with a field too many",
    (_, s, message) => {
      const compiled = Compile(s);
      expect(compiled.Check(message)).toBe(true);
      expect(compiled.Check({ ...message, extra: 1 })).toBe(false);
    },
  );

  it.each(messages)("[PR2] %s is refused with a required field missing", (_, s, message) => {
    const compiled = Compile(s);
    for (const field of s.required) {
      const rest = Object.fromEntries(Object.entries(message).filter(([key]) => key !== field));
      expect(compiled.Check(rest), field).toBe(false);
    }
    for (const foreign of [null, undefined, 3, "x", []])
      expect(compiled.Check(foreign)).toBe(false);
  });

  it("[PR2] ids and keys that cannot be are refused", () => {
    const checkIn = Compile(schema.CheckInSchema);
    for (const taskId of ["", "Digits", "a b", "-a", "a".repeat(64), "../x", 7]) {
      expect(checkIn.Check({ protocolVersion: 1, taskId }), String(taskId)).toBe(false);
    }
    for (const protocolVersion of [0, 1.5, "1", Number.NaN]) {
      expect(checkIn.Check({ protocolVersion, taskId: "a" })).toBe(false);
    }
    const auth = Compile(schema.HandshakeAuthSchema);
    expect(auth.Check({ clientKey: KEY.slice(1) })).toBe(false);
    expect(auth.Check({ clientKey: KEY.replace("A", "!") })).toBe(false);
    const decline = Compile(schema.DeclineSchema);
    for (const roundId of ["digits", "digits.0", "digits.01", "digits.1.5", ".1"]) {
      expect(decline.Check({ roundId }), roundId).toBe(false);
    }
  });
});

describe("a task as it may be written", () => {
  const check = Compile(schema.TaskSpecInputSchema);
  const least = { taskId: "t", model: { tensors: [{ name: "w", shape: [2, 3] }] } };
  const central = { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 3 };

  it("[PR3] needs no more than a name and tensors", () => {
    expect(check.Check(least)).toBe(true);
    for (const adaptiveClipping of [undefined, {}, { targetQuantile: 0.5 }]) {
      const privacy = {
        ...central,
        ...(adaptiveClipping === undefined ? {} : { adaptiveClipping }),
      };
      expect(check.Check({ ...least, privacy })).toBe(true);
    }
    expect(check.Check({ taskId: "t" })).toBe(false);
    expect(check.Check({ ...least, model: { tensors: [] } })).toBe(false);
  });

  it.each([
    [{ rounds: 5 }],
    [{ plan: { epoch: 1 } }],
    [{ plan: { optimizer: { kind: "sgd", momentum: 0.9 } } }],
    [{ plan: { clippingNorm: 1 } }],
    [{ schedule: { reportWindow: 1 } }],
    [{ sampler: { kind: "uniform", cohortSize: 2, size: 3 } }],
    [{ privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5 } }],
    [{ privacy: { ...central, adaptiveClipping: { quantile: 0.5 } } }],
  ])("[PR3] refuses a misspelt, foreign or missing field: %j", (extra) => {
    expect(check.Check({ ...least, ...extra })).toBe(false);
  });

  it.each([
    [{ plan: { epochs: 0 } }],
    [{ plan: { learningRate: -1 } }],
    [{ plan: { learningRate: Number.POSITIVE_INFINITY } }],
    [{ sampler: { kind: "poisson", samplingRate: 0, population: 10 } }],
    [{ sampler: { kind: "poisson", samplingRate: 1.01, population: 10 } }],
    [{ serverOptimizer: { kind: "momentum", momentum: 1 } }],
    [{ clippingNorm: 0 }],
    [{ privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1, maxEpsilon: 3 } }],
    [{ privacy: { ...central, adaptiveClipping: { targetQuantile: 1 } } }],
    [{ schedule: { minReports: 0 } }],
    [{ model: { tensors: [{ name: "w", shape: [0] }] } }],
  ])("[PR3] refuses a number out of its range: %j", (extra) => {
    expect(check.Check({ ...least, ...extra })).toBe(false);
  });
});

describe("answers", () => {
  it("[PR4] a problem of any code fits its schema", () => {
    const compiled = Compile(schema.ProblemSchema);
    for (const code of ERROR_CODES) {
      const error = new FederatedError(code, "m", { retryAfterMs: 5, details: { a: [1] } });
      expect(compiled.Check(error.toProblem()), code).toBe(true);
    }
    const problem = new FederatedError("INTERNAL", "m").toProblem();
    expect(compiled.Check({ ...problem, status: undefined })).toBe(false);
  });

  it("[PR4] a reader's schema lets fields of a newer coordinator pass", () => {
    const receipt = { roundId: "t.1", status: "accepted", duplicate: false };
    expect(Compile(schema.ReceiptSchema).Check({ ...receipt, newer: true })).toBe(true);
  });
});
