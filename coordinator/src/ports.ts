/** What the coordinator's heart asks of the world. Every stateful part takes these as plain arguments. */

import type {
  AbandonReason,
  Assignment,
  AuditEntry,
  AuditHead,
  BackupResource,
  CheckInQuery,
  CheckInReply,
  Checksum,
  ClientId,
  Digest,
  Encoding,
  EnrolmentTokenRequest,
  EnrolmentTokenResource,
  ErrorCode,
  Evaluation,
  FederatedError,
  HandshakeAuth,
  HttpCheckInReply,
  IssuedEnrolmentToken,
  KeyRecord,
  Layout,
  ModelPublished,
  ModelResource,
  MonitoringEvent,
  Page,
  ParticipantCounts,
  PhaseTiming,
  PrivacyResource,
  PublicKey,
  Receipt,
  RoundClosed,
  RoundId,
  RoundResource,
  SamplingClaim,
  ServingCopies,
  SignedManifest,
  TaskBrief,
  TaskEndReason,
  TaskEnded,
  TaskId,
  TaskPaused,
  TaskResource,
  TaskSpec,
  TaskSpecInput,
  TaskState,
  UpdateMetrics,
} from "@tributary/protocol";

import type { EncodedDelta } from "./aggregation/encoded-delta.ts";
import type { SlotPool } from "./aggregation/update-slots.ts";
import type { Charge } from "./privacy/charge.ts";
import type { Participation } from "./round/participation.ts";
import type { DailyPlaces } from "./round/quota.ts";

/** Milliseconds since the Unix epoch, as `Date.now()` gives them. */
export type Instant = number;

export interface Timer {
  cancel(): void;
}

/** The only source of time. */
export interface Clock {
  /** Wall clock: goes into records. */
  now(): Instant;
  /**
   * Milliseconds that never jump: measures spans and deadlines. In a running coordinator they stand still
   * while the process does (`attentive-clock.ts`).
   */
  monotonicMs(): number;
  /** Calls `run` once, after `delayMs`. Never keeps the process alive by itself. */
  after(delayMs: number, run: () => void): Timer;
}

/** Cryptographically secure randomness. */
export interface Random {
  /** `count` fresh random bytes. */
  bytes(count: number): Uint8Array;
}

/** A message authentication code under a secret that only the coordinator knows. `identity/hmac.ts`. */
export interface Mac {
  /** Of the text, in base64url. */
  sum(text: string): string;
  /** Is `claimed` the sum of `text`, letter for letter? How long the answer takes tells nothing of the sum. */
  isSumOf(claimed: string, text: string): boolean;
}

/** Uniform numbers for choosing a cohort: secure in production, seeded in experiments. */
export interface UniformSource {
  /** A number in [0, 1). */
  next(): number;
}

/** What is known of a request before anything of it is believed: node's and socket.io's fit. */
export interface RequestHead {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * The address of who asks, in one spelling: what limits count by. Where it cannot be known, "unknown".
 * `network/peer-address.ts`.
 */
export type PeerAddress = (request: RequestHead) => string;

/** A connection that speaks no HTTP yet, or no longer. */
export interface RawSocket {
  readonly writable: boolean;
  end(text: string): unknown;
  destroy(): unknown;
  on(event: "error", listener: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
}

/** What the listener knows of who asks, for HTTP and for sockets alike. `network/edge.ts`. */
export interface Edge {
  /** Of every answer, those on bare connections included. */
  readonly headers: Readonly<Record<string, string>>;
  /** Origins of other servers whose pages may use the coordinator. */
  readonly allowedOrigins: readonly string[];
  /** FORBIDDEN where the name that was asked for cannot be this coordinator's; else undefined. */
  hostFault(request: RequestHead): FederatedError | undefined;
  /** FORBIDDEN for a web page that is neither the coordinator's own nor allowed; else undefined. */
  originFault(request: RequestHead): FederatedError | undefined;
  /** Answers with the fault on a bare connection, and ends it. */
  refuse(socket: RawSocket, error: FederatedError): void;
}

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

// ---------------------------------------------------------------------------- records

export interface TaskRecord {
  readonly taskId: TaskId;
  readonly spec: TaskSpec;
  readonly layout: Layout;
  readonly state: TaskState;
  readonly endReason?: TaskEndReason;
  readonly createdAt: Instant;
}

export interface ModelVersionRecord {
  readonly taskId: TaskId;
  readonly modelVersion: number;
  /** Digest and size of the checkpoint frame in the blob store. */
  readonly digest: Digest;
  readonly bytes: number;
  /** Round that made it; absent for version 0. */
  readonly roundNumber?: number;
  readonly createdAt: Instant;
  /** Blob with the server optimizer's state after this version; absent where it has none. */
  readonly optimizerState?: Digest;
  /** Blobs with the same weights in fewer bits, for serving. */
  readonly copies?: ServingCopies;
  readonly evaluation?: Evaluation;
  /** Under adaptive clipping: the norm that the next round clips to. Absent for version 0: the task's. */
  readonly clippingNorm?: number;
  /** Who vouches for it. Saved with the version: none is ever announced without. */
  readonly signed: SignedManifest;
}

/** A version before it is signed, or of a store from before there were signatures. */
export type UnsignedVersion = Omit<ModelVersionRecord, "signed">;

/** A version's signature, new or in the place of one by a former key. */
export interface VersionSignature {
  readonly taskId: TaskId;
  readonly modelVersion: number;
  readonly signed: SignedManifest;
}

export type RoundPhaseOpen = "selecting" | "reporting" | "aggregating";

interface RoundRecordBase {
  readonly roundId: RoundId;
  readonly taskId: TaskId;
  readonly roundNumber: number;
  readonly baseModelVersion: number;
  readonly openedAt: Instant;
  readonly phases: readonly PhaseTiming[];
  readonly participants: ParticipantCounts;
  readonly rejections: Readonly<Partial<Record<ErrorCode, number>>>;
  readonly updateBytes: number;
  /** Under adaptive clipping: the norm that this round clips to, known before it opens. */
  readonly clippingNorm?: number;
}

export interface OpenRoundRecord extends RoundRecordBase {
  readonly phase: RoundPhaseOpen;
  /** How the cohort was drawn; absent before it is, and in rounds of a store from before claims. */
  readonly claim?: SamplingClaim;
}

export interface CommittedRoundRecord extends RoundRecordBase {
  readonly phase: "committed";
  readonly modelVersion: number;
  readonly endedAt: Instant;
  readonly trainLoss?: number;
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  readonly epsilon?: number;
}

export interface AbandonedRoundRecord extends RoundRecordBase {
  readonly phase: "abandoned";
  readonly reason: AbandonReason;
  readonly endedAt: Instant;
}

export type EndedRoundRecord = CommittedRoundRecord | AbandonedRoundRecord;
/** A finished or open round; a record holds only what is true in its phase. */
export type RoundRecord = OpenRoundRecord | EndedRoundRecord;

/** How a release is accounted. */
export type PrivacyCharge = Charge;

/**
 * One charge to a task's budget. At most one per round: the event's id is the round's.
 * reserved -> released (with the checkpoint) | void (provably nothing was released).
 */
export interface LedgerEvent {
  readonly roundId: RoundId;
  readonly taskId: TaskId;
  readonly charge: PrivacyCharge;
  readonly status: "reserved" | "released" | "void";
  readonly reservedAt: Instant;
}

/**
 * One step of a matrix run, taken before its noise meets a sum. From then on it is spent, whatever becomes of its
 * round: its charge is never void, its clients were in it, and the noise of the next step goes on from `state`.
 */
export interface NoiseStep {
  /** Reserved with the step, and not before. */
  readonly event: LedgerEvent;
  /** Counted from 0: steps that the task has taken so far. */
  readonly step: number;
  /** Whose updates are in the sum. */
  readonly participants: readonly ClientId[];
  /** A secret: with it, the noise of what was released can be taken out of what will be. */
  readonly state: Uint8Array;
}

// ------------------------------------------------------------------------------ store

export interface RoundCommit {
  readonly round: CommittedRoundRecord;
  readonly version: ModelVersionRecord;
  /** Clients whose updates are in the version. */
  readonly reported: readonly ClientId[];
  /** Under differential privacy: the round's reserved ledger event becomes released. */
  readonly releaseLedger: boolean;
  /** Federated evaluation: belongs to the base version, which gets it in the same transaction. */
  readonly baseEvaluation?: Evaluation;
  /** Ends the task in the same transaction. */
  readonly end?: TaskEndReason;
}

export interface RoundAbandonment {
  readonly round: AbandonedRoundRecord;
  /**
   * The reserved charge counts as released instead of becoming void: where noise was drawn and the end
   * of the round may itself say something about the noisy result.
   */
  readonly keepCharge?: boolean;
}

/**
 * Durable state. A call that resolved is on disk; each call is one transaction.
 * Conformance suite: `test/conformance/store.ts`, run on every implementation.
 */
export interface Store extends AsyncDisposable {
  /** @throws FederatedError TASK_EXISTS */
  createTask(task: TaskRecord, initial: ModelVersionRecord): Promise<void>;
  getTask(taskId: TaskId): Promise<TaskRecord | undefined>;
  /** In order of creation. */
  listTasks(): Promise<readonly TaskRecord[]>;
  /** @throws FederatedError TASK_NOT_FOUND */
  setTaskState(taskId: TaskId, state: TaskState, endReason?: TaskEndReason): Promise<void>;

  /**
   * Saves an open round: on opening, and with its cohort when it is selected. Saving it again
   * replaces it; a `cohort` given once stays until the round ends.
   * @param quotaDay day in which the places of the cohort count, each once, in the same transaction;
   * absent where nobody counts them
   * @throws FederatedError ROUND_CLOSED when the round has ended already
   */
  saveOpenRound(
    round: OpenRoundRecord,
    cohort?: readonly ClientId[],
    quotaDay?: number,
  ): Promise<void>;
  /** Places that were counted of the client in rounds of the task, on its latest day. */
  dailyPlaces(taskId: TaskId, clientId: ClientId): Promise<DailyPlaces | undefined>;
  /** The task's open round with its cohort (empty before selection). */
  getOpenRound(
    taskId: TaskId,
  ): Promise<{ round: OpenRoundRecord; cohort: readonly ClientId[] } | undefined>;
  /**
   * Version, round, reports, ledger and end of task in one transaction.
   * @throws FederatedError ROUND_CLOSED when the round has ended already, MALFORMED_MESSAGE when the
   * version is not the next one
   */
  commitRound(commit: RoundCommit): Promise<void>;
  /** Ends the round; a reserved ledger event of it becomes void, unless kept. @throws ROUND_CLOSED */
  abandonRound(abandonment: RoundAbandonment): Promise<void>;
  getRound(roundId: RoundId): Promise<RoundRecord | undefined>;
  /** Newest first; only rounds numbered below `before`. */
  listRounds(
    taskId: TaskId,
    page: { before?: number; limit: number },
  ): Promise<readonly RoundRecord[]>;
  /** Oldest first; only rounds that have ended, numbered above `after`. */
  listEndedRounds(
    taskId: TaskId,
    page: { after: number; limit: number },
  ): Promise<readonly EndedRoundRecord[]>;
  countRounds(taskId: TaskId): Promise<{ committed: number; abandoned: number; last: number }>;
  /** Is the client's update part of the committed round? */
  wasReported(roundId: RoundId, clientId: ClientId): Promise<boolean>;

  getModelVersion(taskId: TaskId, modelVersion: number): Promise<ModelVersionRecord | undefined>;
  latestModelVersion(taskId: TaskId): Promise<ModelVersionRecord | undefined>;
  /** The newest version that has an evaluation. */
  latestEvaluatedVersion(taskId: TaskId): Promise<ModelVersionRecord | undefined>;
  /** Newest first; only versions below `before`. */
  listModelVersions(
    taskId: TaskId,
    page: { before?: number; limit: number },
  ): Promise<readonly ModelVersionRecord[]>;

  /** Durable before it resolves. Reserving a round's event again changes nothing and is allowed. */
  reserveLedger(event: LedgerEvent): Promise<void>;
  /**
   * Reserves the charge, counts the participants and replaces the noise state, all or nothing. Durable before it
   * resolves.
   * @throws FederatedError ROUND_CLOSED, MALFORMED_MESSAGE (not the next step, one too many, or a participant that may
   * not be in it): nothing may be released then
   */
  takeNoiseStep(step: NoiseStep): Promise<void>;
  /** What the noise of the task's next step goes on from; undefined before the first. */
  noiseState(taskId: TaskId): Promise<Uint8Array | undefined>;
  /** Steps of the task's run that the client was in. */
  participation(taskId: TaskId, clientId: ClientId): Promise<Participation | undefined>;
  /** Every event of the task, in order of reservation, void ones too. */
  listLedger(taskId: TaskId): Promise<readonly LedgerEvent[]>;

  /**
   * Forgets the oldest of the ended rounds and versions beyond the newest that are to stay, at most `limit`
   * of each. Ledger, audit log and counts keep all that they had.
   * @throws FederatedError TASK_NOT_FOUND
   */
  prune(taskId: TaskId, keep: Retention, limit: number): Promise<Pruned>;
  /** Does a version refer to this blob, as its checkpoint or as its optimizer's state? */
  isReferenced(digest: Digest): Promise<boolean>;

  /** Round ends, versions, charges and tasks enter it by themselves, in the transaction that makes them. */
  readonly audit: AuditLog;
  readonly enrolments: EnrolmentStore;

  /** Versions of a store from before there were signatures, at most `limit` of them. */
  listUnsignedVersions(limit: number): Promise<readonly UnsignedVersion[]>;
  /** Puts signatures where versions have none. */
  saveSignatures(signatures: readonly VersionSignature[]): Promise<void>;
  /** The keys that models were and are signed with, oldest first. */
  listSigningKeys(): Promise<readonly KeyRecord[]>;
  /**
   * Adds the next signing key, with what it has signed; the secret named `forget` is deleted.
   * @throws FederatedError MALFORMED_MESSAGE when the key's predecessor is not the newest key
   */
  addSigningKey(
    key: KeyRecord,
    signatures: readonly VersionSignature[],
    forget?: string,
  ): Promise<void>;

  /** The secret of this name, made by `create` the first time. Always the same afterwards. */
  secret(name: string, create: () => Uint8Array): Promise<Uint8Array>;
  /** Throws when the store cannot be written. */
  check(): Promise<void>;
}

/** How much of a task's history stays: the newest so many. What is absent is kept entirely. */
export interface Retention {
  readonly rounds?: number | undefined;
  readonly modelVersions?: number | undefined;
}

export interface Pruned {
  readonly rounds: number;
  readonly modelVersions: number;
  /** Blobs that no version refers to any more. */
  readonly blobs: readonly Digest[];
  /** There is more to forget. */
  readonly more: boolean;
}

/** A token that lets new clients in, and how far it is used. */
export interface EnrolmentTokenRecord {
  readonly tokenId: string;
  /** SHA-256 of the token, which itself is not kept. */
  readonly digest: Digest;
  readonly label?: string;
  readonly uses: number;
  readonly used: number;
  readonly createdAt: Instant;
  readonly expiresAt: Instant;
  readonly revokedAt?: Instant;
}

export interface NumberedEnrolmentToken {
  /** 1, 2, 3 … in order of creation. */
  readonly number: number;
  readonly token: EnrolmentTokenRecord;
}

/** Enrolment tokens, and by which of them each client came. Their uses enter the audit log. */
export interface EnrolmentStore {
  /** @throws FederatedError MALFORMED_MESSAGE when there is such a token already */
  add(token: EnrolmentTokenRecord): Promise<void>;
  /** Newest first; only those numbered below `before`. */
  list(page: { before?: number; limit: number }): Promise<readonly NumberedEnrolmentToken[]>;
  /**
   * Revoking twice changes nothing. @returns the token, and who came by it
   * @throws FederatedError NOT_FOUND
   */
  revoke(
    tokenId: string,
    at: Instant,
  ): Promise<{ token: EnrolmentTokenRecord; clients: readonly ClientId[] }>;
  /**
   * Enrols a client that is not enrolled by a token still in force, and uses the token once.
   * @throws FederatedError UNAUTHENTICATED for a token that is unknown, revoked, expired or used up
   */
  enrol(clientId: ClientId, digest: Digest, at: Instant): Promise<void>;
  /** The token by which the client came last. */
  tokenOf(clientId: ClientId): Promise<EnrolmentTokenRecord | undefined>;
}

/** What is recorded for good. A new kind gets its line here. */
export type AuditKind =
  | "task:created"
  | "task:stateChanged"
  | "round:committed"
  | "round:abandoned"
  | "model:published"
  | "privacy:reserved"
  | "privacy:released"
  | "privacy:voided"
  /** Models are signed with this key from here on. */
  | "key:added"
  | "enrolment:issued"
  | "enrolment:used"
  | "enrolment:revoked"
  /** A coordinator goes on from a backup: what came after it is forgotten. */
  | "store:restored"
  /** Somebody asked for a change: on disk before anything of it is done. */
  | "admin:requested"
  /** How the request ended: on disk before it is answered. */
  | "admin:answered";

/** One thing that happened. */
export interface AuditFact {
  readonly kind: AuditKind;
  /** Who made it happen: the coordinator by its rules, its operator by API or CLI, the program around it, a client. */
  readonly actor: "coordinator" | "operator" | "program" | "client";
  /** Ids and counts. Never data, a token or another secret, nor a client's id: the API shows the log. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Append-only and hash-chained; never pruned. */
export interface AuditLog {
  /** Durable before it resolves. */
  append(fact: AuditFact): Promise<AuditEntry>;
  /** Oldest first; only entries numbered above `after`. */
  list(page: { after?: number; limit: number }): Promise<readonly AuditEntry[]>;
  /** Number 0 and 64 zeros while the log is empty. */
  head(): Promise<AuditHead>;
}

/** Copies of everything, made while the coordinator runs. `storage/backup.ts`. */
export interface Backups {
  /**
   * @throws FederatedError BACKUP_EXISTS, MALFORMED_MESSAGE (not a name), UNAVAILABLE (one is being made,
   * or the disk fails), CONFIG_INVALID (nowhere to put it)
   */
  create(name: string): Promise<BackupResource>;
}

/** Content-addressed bytes: durable (fsync and rename) before `put` resolves. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<Digest>;
  /** @throws FederatedError CHECKPOINT_CORRUPT when the bytes do not match their digest */
  get(digest: Digest): Promise<Uint8Array | undefined>;
  /** Whether it was there or not, it is gone when this resolves. */
  delete(digest: Digest): Promise<void>;
}

// --------------------------------------------------------------------------- adapters

/** Messages to connected clients. Hints: a client that misses one learns the same at check-in. */
export interface ClientGateway {
  assign(clientId: ClientId, assignment: Assignment): void;
  closeRound(clientIds: Iterable<ClientId>, message: RoundClosed): void;
  publishModel(message: ModelPublished): void;
  taskPaused(message: TaskPaused): void;
  taskEnded(message: TaskEnded): void;
  /** Ends every connection of these clients, who are no longer let in. */
  dismiss(clientIds: Iterable<ClientId>): void;
}

/** Where monitoring events go. Adds id and instant itself. */
export interface EventSink {
  emit(event: DomainEvent): void;
}

type WithoutStamp<T> = T extends unknown ? Omit<T, "id" | "at"> : never;
/** A monitoring event before it gets its id and instant. */
export type DomainEvent = WithoutStamp<MonitoringEvent>;

/** Judges a model on data that the coordinator's operator holds. */
export interface Evaluator {
  /** Must stop soon after `signal` aborts. */
  evaluate(weights: Float32Array, layout: Layout, signal: AbortSignal): Promise<Evaluation>;
}

// ---------------------------------------------- what the adapters may ask of the heart

export interface PageRequest {
  /** Only items numbered below this one. */
  readonly before?: number;
  /** 1 to 200. */
  readonly limit: number;
}

/** Tasks, their rounds and their budgets. `task/registry.ts`. */
export interface TaskRegistry {
  /**
   * Creates and starts a task.
   * @param initialWeights flat vector in layout order; zeros when absent
   * @throws FederatedError CONFIG_INVALID with `details.faults` (every fault at once), TASK_EXISTS
   */
  create(spec: TaskSpecInput, initialWeights?: Float32Array): Promise<TaskResource>;
  list(): Promise<readonly TaskResource[]>;
  /** @throws FederatedError TASK_NOT_FOUND, as every call below */
  get(taskId: TaskId): Promise<TaskResource>;
  /** Lets the open round finish and starts no other. Pausing twice changes nothing. */
  pause(taskId: TaskId): Promise<TaskResource>;
  resume(taskId: TaskId): Promise<TaskResource>;
  /** Abandons the open round and ends the task. */
  cancel(taskId: TaskId): Promise<TaskResource>;
  rounds(taskId: TaskId, page: PageRequest): Promise<Page<RoundResource>>;
  /** Rounds that have ended, oldest first, numbered above `after`; at most `limit`, which is read at one go. */
  endedRounds(
    taskId: TaskId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly RoundResource[]>;
  /** @throws FederatedError ROUND_NOT_FOUND */
  round(roundId: RoundId): Promise<RoundResource>;
  privacy(taskId: TaskId): Promise<PrivacyResource>;
  /** Is it under differential privacy? Also true of a task that there is not: it never shows too much. */
  isPrivate(taskId: TaskId): boolean;
}

/** Versions of models and their bytes. `model/registry.ts`. */
export interface ModelRegistry {
  list(taskId: TaskId, page: PageRequest): Promise<Page<ModelResource>>;
  /** @throws FederatedError TASK_NOT_FOUND, MODEL_NOT_FOUND */
  get(taskId: TaskId, modelVersion: number | "latest"): Promise<ModelResource>;
  /** The checkpoint frame, from memory where it is a recent one. @throws MODEL_NOT_FOUND */
  checkpoint(digest: Digest): Promise<Uint8Array>;
  /**
   * What makes the checkpoint of the one with digest `base`: a delta (`checkpoint-delta.ts` of the
   * protocol), gzipped, made once and kept while there is room. Undefined where either is not there, or the whole is nearly as small.
   */
  delta(digest: Digest, base: Digest): Promise<Uint8Array | undefined>;
}

/** The keys that models are signed with. `model/signer.ts`. */
export interface SigningKeys {
  /** The one that signs now: what an app pins. */
  readonly publicKey: PublicKey;
  /** Oldest first, the one that signs now last. */
  list(): readonly KeyRecord[];
  /**
   * Makes a new key, lets the one before sign it, and signs the newest version of each task with it.
   * @throws FederatedError CONFIG_INVALID where the key is the operator's own
   */
  rotate(): Promise<KeyRecord>;
}

/** What lets new clients in. `clients/enrolment.ts`. */
export interface EnrolmentRegistry {
  /**
   * Issues a token. It is in this answer, and nowhere else ever.
   * @throws FederatedError CONFIG_INVALID where enrolment is not enabled, or with `details.faults`
   */
  create(request?: EnrolmentTokenRequest): Promise<IssuedEnrolmentToken>;
  list(page: PageRequest): Promise<Page<EnrolmentTokenResource>>;
  /**
   * The token lets nobody in any more; clients that came by it are dismissed and must enrol anew.
   * @throws FederatedError NOT_FOUND
   */
  revoke(tokenId: string): Promise<EnrolmentTokenResource>;
}

/** A client's place in an open round, as its assignment token proves it. */
export interface Participant {
  readonly roundId: RoundId;
  readonly taskId: TaskId;
  readonly clientId: ClientId;
}

/** A decoded update whose frame was well-formed. The intake checks layout-sized, finite, clipped. */
export interface ReceivedUpdate {
  /** Of the frame: tells the same update, sent again, from another one. */
  readonly checksum: Checksum;
  /** As it came; where it lies in a slot of its round's sum, it is added without a copy. */
  readonly delta: EncodedDelta;
  /** L2 norm of the delta, once it has been measured. */
  readonly norm?: number;
  readonly numExamples: number;
  readonly metrics: UpdateMetrics;
  /** Bytes of the frame. */
  readonly bytes: number;
}

/** Where updates are handed in. `round/intake.ts`. */
export interface UpdateIntake {
  /**
   * Whom the token stands for, and what it may upload. Called before a byte of the body is read.
   * @throws FederatedError UNAUTHENTICATED (no, wrong, expired or another round's token),
   * ROUND_NOT_FOUND; ROUND_CLOSED for a round that has ended without this participant's update
   * @param giveUp ends the upload with its reason when the round ends before it (UNAVAILABLE): asked for again, it is told what became of it
   * @returns with `receipt` when the round has ended with it: then no byte need be read
   */
  admit(
    roundId: RoundId,
    token: string | undefined,
    giveUp?: (reason: FederatedError) => void,
  ): Promise<{
    participant: Participant;
    layout: Layout;
    /** The plan's; another is refused. */
    encoding: Encoding;
    maxBytes: number;
    /** Where the payload may be put, so that its sum need not copy it. Taken back by `leave`. */
    slots: SlotPool;
    receipt?: Receipt;
    /** Call it when the upload is over, however it ended: until then its round may wait for it. */
    leave: () => void;
  }>;
  /**
   * Counts the update, once.
   * @throws FederatedError ROUND_CLOSED, NOT_IN_COHORT, UPDATE_CONFLICT, UPDATE_NOT_FINITE,
   * UPDATE_LAYOUT_MISMATCH
   */
  report(participant: Participant, update: ReceivedUpdate): Promise<Receipt>;
  /** Notes that an upload was refused before it reached `report`. */
  refuse(participant: Participant, code: ErrorCode): void;
}

/** Everything a connected client may ask. `clients/desk.ts`; called by the socket transport. */
export interface ClientDesk {
  /** @throws FederatedError UNAUTHENTICATED, UNAVAILABLE */
  authenticate(auth: HandshakeAuth): Promise<AdmittedClient>;
  /** The client is there, by one way more: once for each `disconnected`. */
  connected(clientId: ClientId): void;
  /** @throws FederatedError TASK_NOT_FOUND, TASK_ENDED, PROTOCOL_VERSION_UNSUPPORTED */
  checkIn(clientId: ClientId, taskId: TaskId, protocolVersion: number): Promise<CheckInReply>;
  /** @throws FederatedError ROUND_CLOSED, NOT_IN_COHORT */
  decline(clientId: ClientId, roundId: RoundId): Promise<void>;
  leave(clientId: ClientId, taskId: TaskId): Promise<void>;
  watch(taskId: TaskId, protocolVersion: number): Promise<TaskBrief>;
  /** The client is there by one way less; with the last one it is gone. */
  disconnected(clientId: ClientId): void;
}

/** The answer to a check-in that was held, and what must be told of it. */
export interface HeldDelivery {
  readonly answer: HttpCheckInReply;
  /** Call it once: whether the answer could be handed over to the network. */
  ended(isDelivered: boolean): void;
}

/** Who asks for a place by HTTP. */
export interface HttpVisitor extends AdmittedClient {
  /** From where, as `PeerAddress` spells it. */
  readonly address: string;
}

/** What clients without a socket may ask. `clients/held-check-ins.ts`; called by the HTTP adapter. */
export interface HttpDesk {
  /** @throws FederatedError UNAUTHENTICATED, UNAVAILABLE */
  authenticate(auth: HandshakeAuth): Promise<AdmittedClient>;
  /**
   * Waits a while for a place.
   * @param gone aborts when the client is not there any more
   * @throws FederatedError TASK_NOT_FOUND, TASK_ENDED, PROTOCOL_VERSION_UNSUPPORTED, RATE_LIMITED with when to come
   * back, ABORTED
   */
  checkIn(
    client: HttpVisitor,
    taskId: TaskId,
    query: CheckInQuery,
    gone: AbortSignal,
  ): Promise<HeldDelivery>;
  /** @throws FederatedError ROUND_CLOSED, NOT_IN_COHORT, TASK_NOT_FOUND */
  decline(clientId: ClientId, roundId: RoundId): Promise<void>;
}

/** Past and live monitoring events. `events/bus.ts`. */
export interface EventFeed {
  /**
   * Calls `listener` for every event after `afterId` that is still remembered, then for each new one.
   * @returns `complete: false` when events after `afterId` were forgotten already
   */
  subscribe(
    listener: (event: MonitoringEvent) => void,
    options?: { readonly afterId?: string },
  ): { readonly complete: boolean; unsubscribe(): void };
}

/** What an admin token may: a viewer reads everything, an operator steers as well. */
export type Role = "viewer" | "operator";

/** A client whose credential is good. */
export interface AdmittedClient {
  readonly clientId: ClientId;
  /** Until when the credential is; its connection ends with it. Absent: for ever. */
  readonly validUntil?: Instant;
}

/**
 * Who may take part, who may read and who may steer. `clients/auth.ts`. Bearer tokens without the word
 * "Bearer". No error repeats a token.
 */
export interface Authenticator {
  /** @throws FederatedError UNAUTHENTICATED; UNAVAILABLE while the credential cannot be checked */
  client(auth: HandshakeAuth): Promise<AdmittedClient>;
  /** Of a client that was let in before: it still is. @throws FederatedError UNAUTHENTICATED */
  assertAdmitted(clientId: ClientId): Promise<void>;
  /**
   * A client's credential or an admin token; anyone where clients need none.
   * @throws FederatedError UNAUTHENTICATED, UNAVAILABLE
   */
  reader(token: string | undefined): Promise<void>;
  /**
   * Whoever may see what is none of the clients' business.
   * @throws FederatedError UNAUTHENTICATED without a token, FORBIDDEN with a wrong one
   */
  viewer(token: string | undefined): Promise<Role>;
  /** Whoever may steer. @throws FederatedError as `viewer`, FORBIDDEN for a viewer, too */
  admin(token: string | undefined): Promise<void>;
  /**
   * Whoever runs the coordinator, and so sees every update anyway: by the admin token, or anyone where no
   * token is asked of anybody, which is this machine alone.
   */
  isOperator(token: string | undefined): Promise<boolean>;
}

/** Whom a JSON Web Token (RFC 7519) speaks of. */
export interface Account {
  readonly issuer: string;
  readonly subject: string;
  readonly validUntil: Instant;
}

/** `identity/jwt.ts`. */
export interface JwtVerifier {
  /**
   * @throws FederatedError UNAUTHENTICATED for a token that is not good, without a word of it;
   * UNAVAILABLE while the identity provider's keys cannot be had
   */
  verify(token: string): Promise<Account>;
}
