/** Store and blobs that live and die with the process: for tests, examples and first steps. */

import type { AuditEntry, ClientId, Digest, KeyRecord, RoundId, TaskId } from "@tributary/protocol";
import { sha256 } from "@tributary/protocol";

import { systemClock } from "../clock.ts";
import type {
  BlobStore,
  Instant,
  LedgerEvent,
  ModelVersionRecord,
  OpenRoundRecord,
  RoundRecord,
  Store,
  TaskRecord,
} from "../ports.ts";
import { blobsOf } from "../model/version-blobs.ts";
import type { Participation } from "../round/participation.ts";
import type { DailyPlaces } from "../round/quota.ts";
import { createMemoryEnrolmentRows } from "./memory-enrolments.ts";
import { decodeRecord, encodeRecord } from "./record-json.ts";
import type { NumberedPage, Rows } from "./store.ts";
import { createStore } from "./store.ts";

/** Keeps every promise of the port but one: nothing survives the process. */
export function createMemoryStore(now: () => Instant = systemClock.now): Store {
  return createStore(createMemoryRows(), now);
}

interface RoundRow {
  round: RoundRecord;
  cohort: readonly ClientId[];
}

const NONE_DROPPED = { committed: 0, abandoned: 0, upTo: 0 };

/** Goes through the very codec of the durable store, so that a test here sees what it would give. */
const copy = <T>(record: T) => decodeRecord(encodeRecord(record)) as T;

const isOpen = (round: RoundRecord): round is OpenRoundRecord =>
  round.phase !== "committed" && round.phase !== "abandoned";

function createMemoryRows(): Rows {
  const tasks = new Map<TaskId, TaskRecord>();
  const versions = new Map<TaskId, ModelVersionRecord[]>();
  const rounds = new Map<RoundId, RoundRow>();
  const reports = new Map<RoundId, Set<ClientId>>();
  const dropped = new Map<TaskId, { committed: number; abandoned: number; upTo: number }>();
  const places = new Map<string, DailyPlaces>();
  const participations = new Map<string, Participation>();
  const ledger = new Map<RoundId, LedgerEvent>();
  const audit: AuditEntry[] = [];
  const signingKeys: KeyRecord[] = [];
  const secrets = new Map<string, Uint8Array>();

  const versionsOf = (taskId: TaskId) => versions.get(taskId) ?? [];
  const roundsOf = (taskId: TaskId) =>
    [...rounds.values()].filter(({ round }) => round.taskId === taskId);
  const found = <T>(record: T | undefined) => (record === undefined ? undefined : copy(record));

  return {
    // Rules come before the first write, and writing to a Map cannot fail: nothing needs rolling back.
    transaction: (write) => write(),

    task: (taskId) => found(tasks.get(taskId)),
    tasks: () => copy([...tasks.values()]),
    putTask: (task) => void tasks.set(task.taskId, copy(task)),

    version: (taskId, modelVersion) =>
      found(versionsOf(taskId).find((version) => version.modelVersion === modelVersion)),
    latestVersion: (taskId) => found(versionsOf(taskId).at(-1)),
    latestEvaluatedVersion: (taskId) =>
      found(versionsOf(taskId).findLast(({ evaluation }) => evaluation !== undefined)),
    versions: (taskId, page) =>
      copy(newestFirst(versionsOf(taskId), ({ modelVersion }) => modelVersion, page)),
    putVersion: (version) => {
      const { taskId, modelVersion } = version;
      const list = versionsOf(taskId);
      const known = list.findIndex((other) => other.modelVersion === modelVersion);
      list[known === -1 ? list.length : known] = copy(version);
      versions.set(taskId, list);
    },

    round: (roundId) => found(rounds.get(roundId)?.round),
    openRound: (taskId) => {
      for (const { round, cohort } of roundsOf(taskId)) {
        if (isOpen(round)) return { round: copy(round), cohort: [...cohort] };
      }
      return undefined;
    },
    rounds: (taskId, page) => {
      const all = roundsOf(taskId).map(({ round }) => round);
      return copy(newestFirst(all, ({ roundNumber }) => roundNumber, page));
    },
    endedRounds: (taskId, { after, limit }) =>
      copy(
        roundsOf(taskId)
          .flatMap(({ round }) => (isOpen(round) || round.roundNumber <= after ? [] : [round]))
          .sort((a, b) => a.roundNumber - b.roundNumber)
          .slice(0, limit),
      ),
    countRounds: (taskId) => {
      const { committed, abandoned, upTo } = dropped.get(taskId) ?? NONE_DROPPED;
      const counts = { committed, abandoned, last: upTo };
      for (const { round } of roundsOf(taskId)) {
        if (round.phase === "committed") counts.committed += 1;
        if (round.phase === "abandoned") counts.abandoned += 1;
        counts.last = Math.max(counts.last, round.roundNumber);
      }
      return counts;
    },
    putRound: (round, cohort) => {
      const known = isOpen(round) ? rounds.get(round.roundId)?.cohort : undefined;
      rounds.set(round.roundId, { round: copy(round), cohort: [...(cohort ?? known ?? [])] });
    },
    addReports: (roundId, clientIds) => void reports.set(roundId, new Set(clientIds)),
    hasReport: (roundId, clientId) => reports.get(roundId)?.has(clientId) ?? false,

    droppedRounds: (taskId) => ({ ...(dropped.get(taskId) ?? NONE_DROPPED) }),
    dropRounds: (taskId, upTo, limit) => {
      const counts = { ...(dropped.get(taskId) ?? NONE_DROPPED) };
      const old = roundsOf(taskId)
        .map(({ round }) => round)
        .filter((round) => !isOpen(round) && round.roundNumber <= upTo)
        .sort((a, b) => a.roundNumber - b.roundNumber)
        .slice(0, limit);
      for (const { roundId, roundNumber, phase } of old) {
        counts[phase === "committed" ? "committed" : "abandoned"] += 1;
        counts.upTo = roundNumber;
        rounds.delete(roundId);
        reports.delete(roundId);
      }
      if (old.length > 0) dropped.set(taskId, counts);
      return old.length;
    },
    dropVersions: (taskId, upTo, limit) => {
      const list = versionsOf(taskId);
      const old = list.filter(({ modelVersion }) => modelVersion <= upTo).slice(0, limit);
      versions.set(taskId, list.slice(old.length));
      return copy(old);
    },
    refersTo: (digest) =>
      [...versions.values()].some((list) =>
        list.some((version) => blobsOf(version).includes(digest)),
      ),

    dailyPlaces: (taskId, clientId) => places.get(`${taskId} ${clientId}`),
    putDailyPlaces: (taskId, clientId, latest) =>
      void places.set(`${taskId} ${clientId}`, { ...latest }),

    participation: (taskId, clientId) => participations.get(`${taskId} ${clientId}`),
    putParticipation: (taskId, clientId, latest) =>
      void participations.set(`${taskId} ${clientId}`, { ...latest }),

    ledgerEvent: (roundId) => found(ledger.get(roundId)),
    ledgerEvents: (taskId) => copy([...ledger.values()].filter((event) => event.taskId === taskId)),
    putLedgerEvent: (event) => void ledger.set(event.roundId, copy(event)),

    auditEntries: ({ after = 0, limit }) => copy(audit.slice(after, after + limit)),
    lastAuditEntry: () => found(audit.at(-1)),
    addAuditEntry: (entry) => void audit.push(copy(entry)),

    // A store that lives as long as its process has nothing from before.
    unsignedVersions: () => [],
    signingKeys: () => copy(signingKeys),
    putSigningKey: (key) => void signingKeys.push(copy(key)),

    enrolments: createMemoryEnrolmentRows(copy),

    secretNames: () => [...secrets.keys()],
    secret: (name) => secrets.get(name)?.slice(),
    putSecret: (name, value) => void secrets.set(name, value.slice()),
    removeSecret: (name) => void secrets.delete(name),

    probe: () => undefined,
    close: () => undefined,
  };
}

function newestFirst<T>(
  records: readonly T[],
  numberOf: (record: T) => number,
  { before = Infinity, limit }: NumberedPage,
): T[] {
  return records
    .filter((record) => numberOf(record) < before)
    .sort((a, b) => numberOf(b) - numberOf(a))
    .slice(0, limit);
}

/** Content-addressed bytes in memory; what goes in and what comes out are copies. */
export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<Digest, Uint8Array>();
  return {
    put: async (bytes) => {
      const kept = bytes.slice();
      const digest = await sha256(kept);
      blobs.set(digest, kept);
      return digest;
    },
    get: async (digest) => blobs.get(digest)?.slice(),
    delete: async (digest) => void blobs.delete(digest),
  };
}
