/**
 * Rounds with clients that vanish at every stage, train for heavy-tailed times, flap and come late: how much
 * finished work is thrown away, and how long do rounds take? Deterministic for a seed.
 */

import type {
  Assignment,
  ClientId,
  RoundId,
  RoundResource,
  TaskSpecInput,
} from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";

import { denseDelta } from "../../../coordinator/src/aggregation/encoded-delta.ts";
import type { RoundEngine } from "../../../coordinator/src/round/engine.ts";
import { createRandom } from "../kill/plan.ts";
import { createVirtualTime } from "./virtual-time.ts";
import { PARAMETERS, startWorld, TASK } from "./world.ts";

export interface Scenario {
  readonly name: string;
  readonly sampler: NonNullable<TaskSpecInput["sampler"]>;
  readonly minClients: number;
  readonly population: number;
  readonly trainingMs: (random: () => number) => number;
  readonly uploadMs: (random: () => number) => number;
  /** Share of the cohort that vanishes, in equal parts at each stage. */
  readonly dropOut: number;
  /** Share of the others that lose their connection once and come back. */
  readonly flapping: number;
  /** False: the round is told of no upload before it has arrived, as it was once. */
  readonly announceUploads: boolean;
}

export interface Finding {
  readonly scenario: string;
  readonly rounds: number;
  readonly committed: number;
  /** Rounds that ended within the report window. */
  readonly onTime: number;
  readonly selected: number;
  /** Share of the cohort that vanished for good, at any stage. */
  readonly vanished: number;
  /** Updates that clients trained to the end, those of clients that then vanished for good included. */
  readonly finished: number;
  readonly counted: number;
  /** Of clients that were there to hand it in, over all finished work. */
  readonly wastedShare: number;
  /** Finished, and gone with a client that vanished in mid-upload and never came back with it. */
  readonly goneWithClientShare: number;
  readonly roundSeconds: { readonly p50: number; readonly p95: number; readonly max: number };
}

export const REPORT_WINDOW_MS = 300_000;

const STAGES = ["onAssignment", "inTraining", "inUpload", "afterUpload"] as const;
type Stage = (typeof STAGES)[number];

/** One client's work for one round. */
interface Attempt {
  readonly roundId: RoundId;
  finished: boolean;
  counted: boolean;
  vanished: boolean;
  /** The round has told the client that it is over. */
  closed: boolean;
}

interface Simulated {
  readonly id: ClientId;
  online: boolean;
  attempt: Attempt | undefined;
}

export async function simulate(scenario: Scenario, rounds: number, seed: number): Promise<Finding> {
  const random = createRandom(seed);
  const time = createVirtualTime();
  const { clock } = time;
  const connected = new Set<ClientId>();
  const clients = new Map<ClientId, Simulated>();
  const attempts: Attempt[] = [];
  const ended: RoundResource[] = [];
  const underWay = new Set<Promise<unknown>>();
  let vanishedBefore = 0;

  const uniform = (from: number, to: number) => from + random() * (to - from);
  const after = (ms: number, run: () => void) => void clock.after(ms, run);
  /** What is asked of the engine is answered before the clock goes on. */
  const ask = (promise: Promise<unknown>) => {
    const tracked: Promise<unknown> = promise
      .catch((error: unknown) => {
        if (!isFederatedError(error)) throw error;
      })
      .finally(() => underWay.delete(tracked));
    underWay.add(tracked);
  };

  const engine: RoundEngine = await startWorld({
    time,
    seed,
    spec: {
      taskId: TASK,
      model: { tensors: [{ name: "w", shape: [PARAMETERS] }] },
      sampler: scenario.sampler,
      schedule: { minClients: scenario.minClients, reportWindowMs: REPORT_WINDOW_MS },
    },
    isConnected: (clientId) => connected.has(clientId),
    onAssigned: (clientId, assignment) => begin(clientOf(clientId), assignment),
    onClosed: (clientId, { roundId }) => close(clientOf(clientId), roundId),
    onEvent: (event) => {
      if (event.type === "round:phaseChanged" && event.data.endedAt !== undefined) {
        ended.push(event.data);
      }
    },
  });

  function clientOf(clientId: ClientId): Simulated {
    const client = clients.get(clientId);
    if (client === undefined) throw new Error(`no client ${clientId}`);
    return client;
  }

  // --------------------------------------------------------------- coming and going

  function checkIn(client: Simulated): void {
    client.online = true;
    connected.add(client.id);
    ask(
      engine.checkIn(client.id).then(({ assignment }) => {
        const { attempt } = client;
        if (assignment !== undefined) begin(client, assignment);
        else if (attempt !== undefined) attempt.closed = true;
      }),
    );
    // A part vanishes while it still waits for a round.
    if (random() < scenario.dropOut / (STAGES.length + 1)) {
      after(uniform(0, 60_000), () => {
        if (client.attempt !== undefined || !client.online) return;
        vanishedBefore += 1;
        vanish(client);
      });
    }
  }

  /** Half of them say nothing: the connection is found dead by its ping, 20 to 45 s later. */
  function disconnect(client: Simulated): void {
    client.online = false;
    after(random() < 0.5 ? 0 : uniform(20_000, 45_000), () => {
      if (client.online) return;
      connected.delete(client.id);
      engine.disconnected(client.id);
    });
  }

  /** Whoever vanishes has lost its work; it joins again, late and in the middle of some other round. */
  function vanish(client: Simulated): void {
    if (client.attempt !== undefined) client.attempt.vanished = true;
    client.attempt = undefined;
    disconnect(client);
    after(uniform(300_000, 900_000), () => checkIn(client));
  }

  function close(client: Simulated, roundId: RoundId): void {
    const { attempt } = client;
    if (attempt?.roundId !== roundId || !client.online) return;
    attempt.closed = true;
    // Bytes under way learn it from their answer; everybody else is free for the next round.
    if (!attempt.finished || attempt.counted) again(client, attempt);
  }

  function again(client: Simulated, attempt: Attempt): void {
    if (client.attempt !== attempt) return;
    client.attempt = undefined;
    after(uniform(100, 2_000), () => {
      if (client.online && client.attempt === undefined) checkIn(client);
    });
  }

  // --------------------------------------------------------------------------- work

  function begin(client: Simulated, { roundId }: Assignment): void {
    if (client.attempt?.roundId === roundId) return;
    const attempt: Attempt = {
      ...{ roundId, finished: false, counted: false, vanished: false, closed: false },
    };
    attempts.push(attempt);
    client.attempt = attempt;
    const perStage = scenario.dropOut / (STAGES.length + 1);
    const fate = random() / (perStage / (1 - perStage));
    const stage: Stage | undefined = STAGES[Math.floor(fate)];
    const trainingMs = scenario.trainingMs(random);
    const uploadMs = scenario.uploadMs(random);
    const isCurrent = () => client.attempt === attempt;
    if (stage === "onAssignment") {
      after(0, () => isCurrent() && vanish(client));
      return;
    }
    if (stage === "inTraining") {
      after(random() * trainingMs, () => isCurrent() && !attempt.closed && vanish(client));
    }
    if (stage === undefined && random() < scenario.flapping) {
      after(random() * (trainingMs + uploadMs), () => {
        if (!isCurrent() || attempt.closed) return;
        disconnect(client);
        after(-Math.log(1 - random()) * 10_000, () => isCurrent() && checkIn(client));
      });
    }
    after(trainingMs, () => {
      // A client that was told stopped training; one that is offline could not know.
      if (!isCurrent() || attempt.closed) return;
      attempt.finished = true;
      upload(client, attempt, uploadMs, stage);
    });
  }

  function upload(
    client: Simulated,
    attempt: Attempt,
    uploadMs: number,
    stage: Stage | undefined,
  ): void {
    const participant = { roundId: attempt.roundId, taskId: TASK, clientId: client.id };
    const tryLater = () =>
      after(1_000, () => client.attempt === attempt && upload(client, attempt, uploadMs, stage));
    if (!client.online) {
      tryLater();
      return;
    }
    const isOpen = (): Promise<boolean> =>
      engine.uploadBegan(participant).then(
        (receipt) => receipt === undefined,
        () => false,
      );
    const begun = scenario.announceUploads ? isOpen() : Promise.resolve(true);
    ask(
      begun.then((open) => {
        if (!open) {
          again(client, attempt);
          return;
        }
        const breaksAfterMs = stage === "inUpload" ? random() * uploadMs : undefined;
        const leave = () => {
          if (scenario.announceUploads) engine.uploadEnded(participant);
        };
        if (breaksAfterMs !== undefined) {
          after(breaksAfterMs, () => {
            leave();
            vanish(client);
          });
          return;
        }
        after(uploadMs, () => {
          if (!client.online) {
            leave();
            tryLater();
            return;
          }
          ask(
            engine
              .report(participant, reportOf(client.id))
              .then(() => {
                attempt.counted = true;
                if (stage === "afterUpload") vanish(client);
              })
              .catch(() => again(client, attempt))
              .finally(leave),
          );
        });
      }),
    );
  }

  const settle = async () => {
    do {
      await Promise.all(underWay);
      await new Promise((resolve) => setImmediate(resolve));
    } while (underWay.size > 0 || engine.snapshot().currentRound?.phase === "aggregating");
  };

  for (let i = 0; i < scenario.population; i++) {
    const client = { id: `client-${i}` as ClientId, online: false, attempt: undefined };
    clients.set(client.id, client);
    after(uniform(0, 30_000), () => checkIn(client));
  }
  await time.run(settle, () => ended.length >= rounds);
  await engine.stop(0);

  // ------------------------------------------------------------------------- results

  const outcomes = new Map(ended.map((round) => [round.roundId, round]));
  const over = attempts.filter(({ roundId }) => outcomes.has(roundId));
  const isIn = ({ counted, roundId }: Attempt) =>
    counted && outcomes.get(roundId)?.phase === "committed";
  const finished = over.filter((attempt) => attempt.finished);
  const missing = finished.filter((attempt) => !isIn(attempt));
  const gone = missing.filter(({ vanished }) => vanished);
  const share = (part: number, whole: number) => Math.round((part / whole) * 10_000) / 10_000;
  const reportingMs = ended
    .map(({ phases }) => phases?.find(({ phase }) => phase === "reporting")?.durationMs ?? 0)
    .sort((a, b) => a - b);
  const quantile = (q: number) =>
    Math.round(
      (reportingMs[Math.min(reportingMs.length - 1, Math.floor(q * reportingMs.length))] ?? 0) /
        1000,
    );
  const committed = ended.filter(({ phase }) => phase === "committed");
  return {
    scenario: scenario.name,
    rounds: ended.length,
    committed: committed.length,
    onTime: reportingMs.filter((ms) => ms <= REPORT_WINDOW_MS).length,
    selected: over.length,
    vanished: share(
      over.filter((attempt) => attempt.vanished).length + vanishedBefore,
      over.length + vanishedBefore,
    ),
    finished: finished.length,
    counted: finished.filter(isIn).length,
    wastedShare: share(missing.length - gone.length, finished.length),
    goneWithClientShare: share(gone.length, finished.length),
    roundSeconds: { p50: quantile(0.5), p95: quantile(0.95), max: quantile(1) },
  };
}

const reportOf = (clientId: ClientId) => ({
  checksum: clientId as never,
  delta: denseDelta(new Float32Array(PARAMETERS).fill(1)),
  numExamples: 1,
  metrics: {},
  bytes: 72,
});
