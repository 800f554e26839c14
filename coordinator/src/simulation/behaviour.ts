/** How virtual clients behave: how fast they are, when they are there, and where they drop out. */

import * as Type from "typebox";

import type { Fault } from "../config/schema.ts";
import { assertNoFaults, fillIn, MAX_SPAN_MS } from "../config/schema.ts";
import { drawsOf, seedFor } from "./seeded.ts";

const group = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
const spanMs = (usual: number, minimum = 0) =>
  Type.Number({ minimum, maximum: MAX_SPAN_MS, default: usual });
const chance = () => Type.Number({ minimum: 0, maximum: 1, default: 0 });
/** Standard deviation of the logarithm: 0.5 lets two thirds lie within a factor of 1.65. */
const spread = (usual: number) => Type.Number({ minimum: 0, maximum: 5, default: usual });
const bytesPerSecond = (usual: number) =>
  Type.Number({ minimum: 1, maximum: 1e12, default: usual });

/** Reliable clients of different speed, unless it is said otherwise: who drops out is for the user to know. */
export const BehaviourSchema = group({
  // All come within ten seconds, as after a start of the coordinator.
  arriveWithinMs: spanMs(10_000),
  /** After a round, until a client offers itself again. */
  restMs: spanMs(0),
  training: group({
    // A phone over a few hundred examples.
    medianMs: spanMs(20_000),
    /** Between devices: a device keeps its factor. */
    deviceSpread: spread(0.5),
    /** Of one device, from round to round. */
    roundSpread: spread(0.2),
  }),
  /** Between the end of training and the upload: log-normal around it, with `training.roundSpread`. */
  reportDelayMs: spanMs(0),
  network: group({
    // 20 Mbit/s down and 5 up: an ordinary connection at home.
    downBytesPerSecond: bytesPerSecond(2_500_000),
    upBytesPerSecond: bytesPerSecond(625_000),
    /** Between devices, of both directions alike. */
    spread: spread(0.5),
    latencyMs: spanMs(100),
  }),
  dropOut: group({
    /** Says no to an assignment at once. */
    declines: chance(),
    /** Is gone while it trains. */
    training: chance(),
    /** Is gone while it uploads. */
    upload: chance(),
    /** Of those that are gone: they keep their connection and say nothing, up to the deadline. */
    silentShare: chance(),
    /** Mean time until one that lost its connection is back; exponential. */
    awayMs: spanMs(300_000, 1),
  }),
  availability: group({
    /** Of the time a client is there; the lengths of its visits and absences are exponential. */
    onlineShare: Type.Number({ minimum: 0.001, maximum: 1, default: 1 }),
    /** Mean length of a visit. */
    visitMs: spanMs(3_600_000, 1),
    /** 0: the same at all hours; 1: nobody comes in the depth of the night. */
    dayAmplitude: chance(),
    dayMs: spanMs(86_400_000, 1),
  }),
});

export type Behaviour = Type.Static<typeof BehaviourSchema>;

type DeepPartial<T> = { readonly [K in keyof T]?: T[K] extends object ? DeepPartial<T[K]> : T[K] };
/** Everything has a default. */
export type BehaviourInput = DeepPartial<Behaviour>;

/** @throws FederatedError CONFIG_INVALID, with all faults in `details.faults` */
export function resolveBehaviour(input: unknown): Behaviour {
  const faults: Fault[] = [];
  const behaviour = fillIn(BehaviourSchema, input ?? {}, faults) as Behaviour;
  assertNoFaults("the clients' behaviour", faults);
  return behaviour;
}

/** What a client will do with one assignment, drawn beforehand. */
export interface Course {
  readonly declines: boolean;
  /** From the assignment on. */
  readonly downloadMs: number;
  /** Training, with the delay before the report. */
  readonly workMs: number;
  readonly uploadMs: number;
  /** Where it is gone, as a share of that phase. */
  readonly gone?: { readonly phase: "training" | "upload"; readonly at: number };
  /** If it is gone: it stays connected and says nothing. */
  readonly silent: boolean;
  /** If it is gone: until it is back. */
  readonly awayMs: number;
}

export interface CourseRequest {
  readonly client: number;
  readonly roundNumber: number;
  /** How often it has begun with this round. */
  readonly attempt: number;
  /** 0 where the client has the version. */
  readonly downloadBytes: number;
  readonly uploadBytes: number;
}

export interface Habits {
  /** The same for the same request: no draw depends on an earlier one. */
  course(request: CourseRequest): Course;
  /** Until a client's first check-in; where it is not there at first, until it comes. */
  arrivalMs(client: number): number;
  /** Length of a client's visit number `visit`; Infinity for one that stays. */
  visitMs(client: number, visit: number): number;
  /** From `nowMs`, when visit number `visit` ends, until the next begins. */
  absenceMs(client: number, visit: number, nowMs: number): number;
}

export function createHabits(behaviour: Behaviour, seed: number): Habits {
  const { training, network, dropOut, availability, reportDelayMs, arriveWithinMs } = behaviour;
  const { onlineShare, dayAmplitude, dayMs } = availability;
  const meanAbsenceMs = (availability.visitMs * (1 - onlineShare)) / onlineShare;

  /** Arrivals of a Poisson process whose rate follows the time of day, by thinning (Lewis and Shedler 1979). */
  function untilArrival(
    { exponential, uniform }: ReturnType<typeof drawsOf>,
    from: number,
  ): number {
    let waited = 0;
    for (;;) {
      waited += (exponential() * meanAbsenceMs) / (1 + dayAmplitude);
      const hour = Math.sin((2 * Math.PI * (from + waited)) / dayMs);
      if (uniform() * (1 + dayAmplitude) < 1 + dayAmplitude * hour) return waited;
    }
  }

  return {
    course: ({ client, roundNumber, attempt, downloadBytes, uploadBytes }) => {
      const device = drawsOf(seedFor(seed, "device", client));
      const slowness = Math.exp(training.deviceSpread * device.normal());
      const line = Math.exp(network.spread * device.normal());
      // Always the same number of draws, in the same order.
      const draws = drawsOf(seedFor(seed, "round", client, roundNumber, attempt));
      const trainingMs =
        training.medianMs * slowness * Math.exp(training.roundSpread * draws.normal());
      const delayMs = reportDelayMs * Math.exp(training.roundSpread * draws.normal());
      const declines = draws.uniform() < dropOut.declines;
      const leavesTraining = draws.uniform() < dropOut.training;
      const leavesUpload = draws.uniform() < dropOut.upload;
      const at = draws.uniform();
      const silent = draws.uniform() < dropOut.silentShare;
      const awayMs = draws.exponential() * dropOut.awayMs;
      const phase = leavesTraining ? "training" : leavesUpload ? "upload" : undefined;
      return {
        declines,
        downloadMs:
          network.latencyMs + (1000 * downloadBytes) / (network.downBytesPerSecond * line),
        workMs: trainingMs + delayMs,
        uploadMs: network.latencyMs + (1000 * uploadBytes) / (network.upBytesPerSecond * line),
        ...(phase === undefined ? {} : { gone: { phase, at } }),
        silent,
        awayMs,
      };
    },
    arrivalMs: (client) => {
      const draws = drawsOf(seedFor(seed, "presence", client, 0));
      const arrival = draws.uniform() * arriveWithinMs;
      const isThere = draws.uniform() < onlineShare;
      return isThere ? arrival : arrival + untilArrival(draws, arrival);
    },
    visitMs: (client, visit) =>
      onlineShare === 1
        ? Infinity
        : drawsOf(seedFor(seed, "presence", client, 1, visit)).exponential() * availability.visitMs,
    absenceMs: (client, visit, nowMs) =>
      untilArrival(drawsOf(seedFor(seed, "presence", client, 2, visit)), nowMs),
  };
}
