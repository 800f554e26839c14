/** What a simulation comes to: the same for the same task, clients and seed, but for how long it took. */

import type {
  AbandonReason,
  Digest,
  Evaluation,
  ParticipantCounts,
  RoundResource,
  TaskEndReason,
  TaskSpec,
} from "@tributary/protocol";

/** Of the virtual clock; the rest of the names are those of the monitoring API. */
export interface SimulatedRound {
  readonly roundNumber: number;
  readonly phase: "committed" | "abandoned";
  readonly reason?: AbandonReason;
  /** Only of a committed round. */
  readonly modelVersion?: number;
  /** Since the simulation began. */
  readonly openedAtMs: number;
  readonly durationMs: number;
  readonly selectingMs: number;
  readonly reportingMs: number;
  readonly participants: ParticipantCounts;
  /** Updates that were refused, by code. */
  readonly rejections: Readonly<Record<string, number>>;
  /** Of checkpoints that its participants fetched. */
  readonly bytesDown: number;
  /** Of updates, those that came too late or were refused included. */
  readonly bytesUp: number;
  readonly trainLoss?: number;
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  readonly clippingNorm?: number;
  /** What the same rounds would have cost in production. See {@link SimulatedPrivacy}. */
  readonly epsilon?: number;
}

/**
 * What a real run of the same rounds would have promised. The simulation's own does not: its noise and its coins come
 * from the seed, so that whoever knows the seed takes the noise out again.
 */
export interface SimulatedPrivacy {
  /** Never true: the type of a simulation's result cannot stand where a private release is asked for. */
  readonly isPrivateRelease: false;
  readonly mechanism: Exclude<TaskSpec["privacy"]["mechanism"], "none">;
  /** Of a real run with the same rounds; under local privacy of the client that was asked most often. */
  readonly epsilonOfRealRun: number;
  readonly delta: number;
  readonly maxEpsilon: number;
  readonly statement: string;
}

export type SimulationEnd =
  | { readonly kind: "taskEnded"; readonly reason: TaskEndReason }
  /** The limit of virtual time. */
  | { readonly kind: "timeIsUp" }
  /** So many rounds in a row were abandoned that no other outcome is to be expected. */
  | { readonly kind: "stalled"; readonly abandonedInARow: number }
  /** No client comes any more. */
  | { readonly kind: "nobodyLeft" }
  | { readonly kind: "interrupted" };

/** Nothing of such a run tells how the task would go: it would not. */
export interface SimulationStall {
  readonly code: "SIMULATION_STALLED";
  /** With the values of the settings, and what to look at. */
  readonly message: string;
  /** Rounds that were abandoned since the last one that was committed. */
  readonly abandoned: Readonly<Partial<Record<AbandonReason, number>>>;
}

export interface SimulationTotals {
  readonly committed: number;
  readonly abandoned: number;
  /** Since the simulation began, on the virtual clock. */
  readonly virtualMs: number;
  /** Updates in a sum. */
  readonly counted: number;
  /** How the places of all cohorts ended; they add up to `selected`. */
  readonly participants: Omit<ParticipantCounts, "pending">;
  readonly bytesDown: number;
  readonly bytesUp: number;
  /** Clients that had a place at least once. */
  readonly clientsSelected: number;
}

/** Everything in it follows from task, clients, behaviour and seed. */
export interface SimulationReport {
  readonly kind: "simulation";
  readonly taskId: string;
  readonly seed: number;
  readonly clients: number;
  /** What the clients learn: their author's own, or the synthetic problem, which tells nothing of a real model. */
  readonly problem: "module" | "synthetic" | "program";
  readonly end: SimulationEnd;
  /** Where the rounds came to nothing: its model tells nothing then. */
  readonly stall?: SimulationStall;
  readonly rounds: readonly SimulatedRound[];
  readonly totals: SimulationTotals;
  /** The newest version, with the SHA-256 of its checkpoint frame. */
  readonly model: { readonly modelVersion: number; readonly digest: Digest };
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  readonly privacy?: SimulatedPrivacy;
  /** Trainers that threw: how often, and what the first of them said. */
  readonly failures?: { readonly count: number; readonly first: string };
  /** What the coordinator would have logged as a warning or an error, once each. */
  readonly warnings: readonly string[];
}

/** How fast this machine was; nothing else of a simulation depends on it. */
export interface SimulationPace {
  readonly threads: number;
  readonly seconds: number;
  /** Updates that were counted, refused or came too late, a second. */
  readonly clientsPerSecond: number;
  /** Trainings that were done, with those that nobody needed in the end. */
  readonly trained: number;
}

export interface SimulationResult {
  readonly report: SimulationReport;
  readonly pace: SimulationPace;
  /** Of the newest version, flat, in layout order. Of a task under privacy it is as little private as the report. */
  readonly weights: Float32Array;
}

/** Bytes that the monitoring API does not know of. */
export interface RoundTraffic {
  bytesDown: number;
  bytesUp: number;
}

/** @param startedAt epoch of the virtual clock */
export function simulatedRound(
  round: RoundResource,
  startedAt: number,
  traffic: RoundTraffic,
): SimulatedRound {
  const { phase, openedAt, endedAt = openedAt, phases = [], participants } = round;
  if (phase !== "committed" && phase !== "abandoned") throw new Error("the round is still open");
  const { reason, modelVersion, trainLoss, evaluation, clippingNorm, epsilon } = round;
  const took = (name: string) => phases.find((timing) => timing.phase === name)?.durationMs ?? 0;
  return {
    roundNumber: round.roundNumber,
    phase,
    ...(reason === undefined ? {} : { reason }),
    ...(modelVersion === undefined ? {} : { modelVersion }),
    openedAtMs: Date.parse(openedAt) - startedAt,
    durationMs: Date.parse(endedAt) - Date.parse(openedAt),
    selectingMs: took("selecting"),
    reportingMs: took("reporting"),
    participants: participants ?? NOBODY,
    rejections: round.rejections ?? {},
    bytesDown: traffic.bytesDown,
    bytesUp: traffic.bytesUp,
    ...(trainLoss === undefined ? {} : { trainLoss }),
    ...(evaluation === undefined ? {} : { evaluation }),
    ...(clippingNorm === undefined ? {} : { clippingNorm }),
    ...(epsilon === undefined ? {} : { epsilon }),
  };
}

const NOBODY: ParticipantCounts = {
  ...{ selected: 0, reported: 0, pending: 0, declined: 0, left: 0 },
  ...{ disconnected: 0, rejected: 0, timedOut: 0 },
};

const OUTCOMES = [
  "selected",
  "reported",
  "declined",
  "left",
  "disconnected",
  "rejected",
  "timedOut",
] as const;

export function totalsOf(
  rounds: readonly SimulatedRound[],
  { virtualMs, clientsSelected }: Pick<SimulationTotals, "virtualMs" | "clientsSelected">,
): SimulationTotals {
  const sum = (of: (round: SimulatedRound) => number) =>
    rounds.reduce((total, round) => total + of(round), 0);
  const committed = rounds.filter(({ phase }) => phase === "committed");
  return {
    committed: committed.length,
    abandoned: rounds.length - committed.length,
    virtualMs,
    counted: committed.reduce((total, { participants }) => total + participants.reported, 0),
    participants: Object.fromEntries(
      OUTCOMES.map((name) => [name, sum(({ participants }) => participants[name])]),
    ) as unknown as SimulationTotals["participants"],
    bytesDown: sum(({ bytesDown }) => bytesDown),
    bytesUp: sum(({ bytesUp }) => bytesUp),
    clientsSelected,
  };
}
