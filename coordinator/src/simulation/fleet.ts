/**
 * The virtual clients, as the coordinator sees them: they come, check in, train, report, drop out and come back. Each
 * message is handled to its end before time goes on, so that their order is that of the virtual clock alone.
 */

import type {
  Assignment,
  ClientId,
  Digest,
  ErrorCode,
  Layout,
  RoundClosed,
  RoundId,
  TaskEndReason,
  TaskSpec,
} from "@tributary/protocol";
import { decodeCheckpoint, isFederatedError } from "@tributary/protocol";

import type { ModelShelf } from "../model/registry.ts";
import type { ClientGateway, Timer, UpdateIntake } from "../ports.ts";
import { localRounds } from "../privacy/local-gaussian.ts";
import type { RoundEngine } from "../round/engine.ts";
import type { Habits } from "./behaviour.ts";
import { receivedUpdate } from "./received.ts";
import type { RoundTraffic } from "./report.ts";
import { uploadBytesOf } from "./train-client.ts";
import type { Training, TrainingPool } from "./training-pool.ts";
import { sharedWeights } from "./training-pool.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export interface FleetDeps {
  readonly clock: VirtualClock;
  readonly pool: TrainingPool;
  readonly habits: Habits;
  readonly shelf: Pick<ModelShelf, "checkpoint">;
  readonly spec: TaskSpec;
  readonly layout: Layout;
  /** By number. */
  readonly clientIds: readonly ClientId[];
  /** What a client does after it was told to wait. */
  readonly restMs: number;
}

export interface Fleet {
  readonly gateway: ClientGateway;
  isConnected(clientId: ClientId): boolean;
  /** Lets the clients come. */
  start(engine: RoundEngine, intake: UpdateIntake): void;
  /** Why there is nothing to do any more. */
  ended(): TaskEndReason | undefined;
  /** Bytes of the round so far. */
  traffic(roundId: RoundId): RoundTraffic;
  /** The round is told of, and forgotten. */
  forget(roundId: RoundId): void;
  facts(): FleetFacts;
}

export interface FleetFacts {
  /** Updates that arrived, whatever became of them. */
  readonly arrived: number;
  readonly clientsSelected: number;
  /** Most updates that one client has made. */
  readonly mostUpdates: number;
  readonly failures?: { readonly count: number; readonly first: string };
}

/** A client's part in a round. */
interface Part {
  readonly roundId: RoundId;
  attempt: number;
  /** Asleep, or done with the round: what remains is to hear of its end. */
  idle: boolean;
  timer?: Timer;
  training?: Training;
  /** Ends an upload. */
  leave?: () => void;
}

interface RestBefore {
  readonly roundId: RoundId;
  readonly rest: Float32Array | undefined;
}

const CHECK_IN_AGAIN_MS = 1_000;

export function createFleet(deps: FleetDeps): Fleet {
  const { clock, pool, habits, shelf, spec, layout, clientIds, restMs } = deps;
  const numberOf = new Map(clientIds.map((clientId, index) => [clientId, index]));
  const size = clientIds.length;
  const online = new Uint8Array(size);
  const selected = new Uint8Array(size);
  const visits = new Uint32Array(size);
  const updates = new Uint32Array(size);
  /** Version + 1 of the newest checkpoint that a client has; 0 for none. */
  const versions = new Uint32Array(size);
  const leaving: (Timer | undefined)[] = [];
  const parts = new Map<number, Part>();
  const traffic = new Map<RoundId, RoundTraffic>();
  const models = new Map<Digest, Float32Array>();
  /** What clients did not send of their deltas; only under an encoding with feedback. */
  const rests = new Map<number, Float32Array>();
  /** As they were before the open round, should it come to nothing. */
  const restsBefore = new Map<number, RestBefore>();
  const mostOfOne =
    spec.privacy.mechanism === "local" ? localRounds(spec.privacy) : Number.POSITIVE_INFINITY;
  let engine: RoundEngine;
  let intake: UpdateIntake;
  let endReason: TaskEndReason | undefined;
  let arrived = 0;
  let failures: { count: number; readonly first: string } | undefined;

  const idOf = (client: number): ClientId => {
    const clientId = clientIds[client];
    if (clientId === undefined) throw new RangeError(`there is no client ${client}`);
    return clientId;
  };
  const trafficOf = (roundId: RoundId): RoundTraffic => {
    const known = traffic.get(roundId) ?? { bytesDown: 0, bytesUp: 0 };
    traffic.set(roundId, known);
    return known;
  };

  // ------------------------------------------------------------------------- presence

  async function comeOnline(client: number): Promise<void> {
    if (endReason !== undefined || online[client] === 1) return;
    online[client] = 1;
    const visit = visits[client] as number;
    visits[client] = visit + 1;
    const stays = habits.visitMs(client, visit);
    if (stays < Infinity) {
      leaving[client] = clock.after(stays, () =>
        goOffline(client, habits.absenceMs(client, visit, clock.monotonicMs())),
      );
    }
    await checkIn(client);
  }

  function goOffline(client: number, awayMs: number): void {
    if (online[client] === 0) return;
    online[client] = 0;
    leaving[client]?.cancel();
    leaving[client] = undefined;
    stopWork(client);
    engine.disconnected(idOf(client));
    clock.after(awayMs, () => comeOnline(client));
  }

  // ------------------------------------------------------------------------- check-in

  async function checkIn(client: number): Promise<void> {
    if (online[client] === 0 || endReason !== undefined) return;
    try {
      const { assignment } = await engine.checkIn(idOf(client));
      if (assignment !== undefined && !assignment.reported) take(client, assignment);
    } catch (error) {
      if (!isFederatedError(error)) throw error;
      if (error.code === "TASK_ENDED") return;
      // Limits of a matrix run, or the quota of a day: a client of the SDK comes again or stays away as well.
      if (error.code === "PRIVACY_BUDGET_EXHAUSTED") return;
      if (!error.retryable) throw error;
      const waitMs = error.retryAfterMs ?? CHECK_IN_AGAIN_MS;
      clock.after(Math.max(1, waitMs), () => checkIn(client));
    }
  }

  const checkInLater = (client: number, afterMs: number) =>
    void clock.after(afterMs, () => checkIn(client));

  // ------------------------------------------------------------------------- one round

  function stopWork(client: number): void {
    const part = parts.get(client);
    if (part === undefined) return;
    part.timer?.cancel();
    part.training?.drop();
    part.leave?.();
    delete part.timer;
    delete part.training;
    delete part.leave;
    part.idle = true;
  }

  function take(client: number, assignment: Assignment): void {
    const { roundId } = assignment;
    const known = parts.get(client);
    if (known?.roundId === roundId) {
      // Told twice, by message and by the answer to its check-in.
      if (!known.idle) return;
      known.attempt += 1;
      known.idle = false;
    } else parts.set(client, { roundId, attempt: 0, idle: false });
    selected[client] = 1;
    const part = parts.get(client) as Part;
    // Whoever spent its own budget says no, and does not come again.
    if ((updates[client] as number) >= mostOfOne) {
      part.idle = true;
      clock.after(0, () => sayNo(client, assignment, false));
      return;
    }
    part.timer = clock.after(0, () => begin(client, part, assignment));
  }

  async function sayNo(client: number, { roundNumber }: Assignment, comesAgain: boolean) {
    await engine.decline(idOf(client), roundNumber).catch(tooLate);
    if (comesAgain) await checkIn(client);
  }

  async function begin(client: number, part: Part, assignment: Assignment): Promise<void> {
    const { checkpoint, roundNumber, plan } = assignment;
    const isNew = versions[client] !== checkpoint.modelVersion + 1;
    const downloadBytes = isNew ? checkpoint.bytes : 0;
    const course = habits.course({
      ...{ client, roundNumber, attempt: part.attempt, downloadBytes },
      uploadBytes: uploadBytesOf(layout, plan.encoding),
    });
    if (course.declines) {
      part.idle = true;
      await sayNo(client, assignment, true);
      return;
    }
    trafficOf(part.roundId).bytesDown += downloadBytes;
    versions[client] = checkpoint.modelVersion + 1;
    const trainsFor = course.downloadMs + course.workMs;
    if (course.gone?.phase === "training") {
      part.timer = clock.after(trainsFor * course.gone.at, () => drop(client, part, course));
      return;
    }
    const uploadsFor =
      course.gone?.phase === "upload" ? course.uploadMs * course.gone.at : course.uploadMs;
    // Of an upload that breaks off nothing is seen: no need to train for it.
    if (course.gone === undefined) {
      const weights = await weightsOf(checkpoint.digest);
      const rest = rests.get(client);
      const job = { client, roundNumber, plan, weights, ...(rest === undefined ? {} : { rest }) };
      part.training = pool.train(job, clock.monotonicMs() + trainsFor + uploadsFor);
    }
    part.timer = clock.after(trainsFor, async () => {
      if (!(await beginUpload(part, assignment))) {
        await lose(client);
        return;
      }
      updates[client] = (updates[client] as number) + 1;
      part.timer = clock.after(uploadsFor, () =>
        course.gone === undefined ? report(client, part, assignment) : drop(client, part, course),
      );
    });
  }

  async function weightsOf(digest: Digest): Promise<Float32Array> {
    let weights = models.get(digest);
    if (weights === undefined) {
      weights = sharedWeights(decodeCheckpoint(layout, await shelf.checkpoint(digest)).weights);
      // Older ones are still held by whoever trains from them.
      models.clear();
      models.set(digest, weights);
    }
    return weights;
  }

  /** @returns false where the round takes no more updates */
  async function beginUpload(part: Part, assignment: Assignment): Promise<boolean> {
    try {
      const admitted = await intake.admit(part.roundId, assignment.update.token);
      part.leave = admitted.leave;
      return true;
    } catch (error) {
      tooLate(error);
      return false;
    }
  }

  async function report(client: number, part: Part, assignment: Assignment): Promise<void> {
    const { training, leave } = part;
    if (training === undefined) throw new Error("a client reports what it was not trained for");
    delete part.timer;
    delete part.training;
    delete part.leave;
    part.idle = true;
    const trained = await training.result();
    if (trained.kind === "failed") {
      failures ??= { count: 0, first: trained.message };
      failures.count += 1;
      leave?.();
      await sayNo(client, assignment, true);
      return;
    }
    arrived += 1;
    trafficOf(part.roundId).bytesUp += trained.frame.length;
    const participant = {
      roundId: part.roundId,
      taskId: assignment.taskId,
      clientId: idOf(client),
    };
    try {
      const update = receivedUpdate(layout, trained, assignment);
      const isIn = await intake.report(participant, update).then(
        () => true,
        (error: unknown) => {
          // The intake has counted it; what it thinks of an update is part of what is simulated.
          if (!isFederatedError(error) || error.code === "INTERNAL") throw error;
          return false;
        },
      );
      if (isIn && trained.rest !== undefined) {
        restsBefore.set(client, { roundId: part.roundId, rest: rests.get(client) });
        rests.set(client, trained.rest);
      }
    } finally {
      leave?.();
    }
  }

  function drop(client: number, part: Part, course: { silent: boolean; awayMs: number }): void {
    delete part.timer;
    if (!course.silent) {
      goOffline(client, course.awayMs);
      return;
    }
    // Still connected; what it holds of an upload is let go with the round.
    part.leave?.();
    delete part.leave;
    part.idle = true;
  }

  /** Its round closed without it. */
  async function lose(client: number): Promise<void> {
    stopWork(client);
    await checkIn(client);
  }

  // --------------------------------------------------------------- what the coordinator says

  /** What was sent in a round that was abandoned is lost, and what was left out before it is not. */
  function settleRest(client: number, { roundId, outcome }: RoundClosed): void {
    const before = restsBefore.get(client);
    if (before?.roundId !== roundId) return;
    restsBefore.delete(client);
    if (outcome !== "abandoned") return;
    if (before.rest === undefined) rests.delete(client);
    else rests.set(client, before.rest);
  }

  function hearClosed(client: number, message: RoundClosed): void {
    const { roundId } = message;
    settleRest(client, message);
    const part = parts.get(client);
    if (part?.roundId !== roundId) return;
    stopWork(client);
    parts.delete(client);
    if (online[client] === 1) checkInLater(client, restMs);
  }

  const gateway: ClientGateway = {
    assign: (clientId, assignment) => {
      const client = numberOf.get(clientId);
      if (client !== undefined && online[client] === 1 && !assignment.reported) {
        take(client, assignment);
      }
    },
    closeRound: (ids, message) => {
      for (const clientId of ids) {
        const client = numberOf.get(clientId);
        if (client !== undefined) hearClosed(client, message);
      }
    },
    publishModel: () => {},
    taskPaused: () => {},
    taskEnded: ({ reason }) => {
      endReason = reason;
    },
    dismiss: () => {},
  };

  return {
    gateway,
    isConnected: (clientId) => online[numberOf.get(clientId) ?? -1] === 1,
    start: (startedEngine, startedIntake) => {
      engine = startedEngine;
      intake = startedIntake;
      for (let client = 0; client < size; client++) {
        const arriving = client;
        clock.after(habits.arrivalMs(client), () => comeOnline(arriving));
      }
    },
    ended: () => endReason,
    traffic: trafficOf,
    forget: (roundId) => void traffic.delete(roundId),
    facts: () => ({
      arrived,
      clientsSelected: selected.reduce((sum, once) => sum + once, 0),
      mostUpdates: updates.reduce((most, count) => Math.max(most, count), 0),
      ...(failures === undefined ? {} : { failures }),
    }),
  };
}

/** A round that has ended meanwhile is nobody's fault. */
function tooLate(error: unknown): void {
  if (isFederatedError(error) && TOO_LATE.includes(error.code)) return;
  throw error;
}

const TOO_LATE: readonly ErrorCode[] = ["ROUND_CLOSED", "ROUND_NOT_FOUND", "NOT_IN_COHORT"];
