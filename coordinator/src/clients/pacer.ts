/** When clients without a socket are told to come back, by task: from who came of late, and what came of the rounds. */

import type { ClientId, RoundClosed, RoundId, TaskId } from "@tributary/protocol";

import { addressKey } from "../limits/address.ts";
import type { Clock, TaskRecord, UniformSource } from "../ports.ts";
import type { RoundEngine } from "../round/engine.ts";
import type { Credit } from "./credit.ts";
import { createCredit } from "./credit.ts";
import { createKeyedHash } from "./keyed-hash.ts";
import type { PaceSituation } from "./pace-steering.ts";
import { comeBackInMs, CROWD, meanAwayMs } from "./pace-steering.ts";
import type { Population } from "./population.ts";
import { createPopulation } from "./population.ts";

export interface PacerDeps {
  readonly clock: Pick<Clock, "now">;
  readonly engineOf: (taskId: TaskId) => Pick<RoundEngine, "pace"> | undefined;
  /** Spreads returns, and keys what counts clients. */
  readonly uniform: UniformSource;
}

export interface PacerOptions {
  readonly heldCheckIns: number;
  readonly checkInsPerSecond: number;
  readonly checkInHoldMs: number;
  readonly connectionsPerAddress: number;
}

export interface Pacer {
  /** Whole milliseconds after which a client should check in again. */
  returnOf(taskId: TaskId): number;
  /**
   * A client came, was let in, and is within all rates.
   * @param address as `PeerAddress` spells it
   */
  came(clientId: ClientId, address: string, taskId: TaskId): void;
  /** A cohort is told of its round, for which so many without a socket were held. Again changes nothing. */
  roundBegan(taskId: TaskId, roundId: RoundId, held: number): void;
  roundClosed(message: RoundClosed): void;
  forget(taskId: TaskId): void;
}

/** A client is remembered for twice the mean time that it is away, and at least for so long. */
const SHORTEST_MEMORY_MS = 600_000;
/** Resumed tasks tell nobody who is not connected, so whoever waits for one looks now and then. */
const LOOK_AGAIN_MS = 60_000;
/** As many again as a round waits for: some are always about to go. */
const SPARE = 1.5;
/** Few meet once in CROWD holds. A round that has looked for clients for twice as long finds too few. */
const PATIENCE_HOLDS = 2 * CROWD;

/** What is known of the clients of one task. */
interface Crowd {
  readonly population: Population;
  readonly credit: Credit;
  began?: { readonly roundId: RoundId; readonly held: number };
  /** Spells of patience for which the open round has found too few. */
  spells: number;
}

export function createPacer(deps: PacerDeps, options: PacerOptions): Pacer {
  const { clock, engineOf, uniform } = deps;
  const crowds = new Map<TaskId, Crowd>();
  const word = () => Math.floor(uniform.next() * 2 ** 32) | 0;
  const counting = {
    hash: createKeyedHash([word(), word()]),
    perAddress: options.connectionsPerAddress,
  };
  const patienceMs = PATIENCE_HOLDS * options.checkInHoldMs;

  function situationOf(taskId: TaskId): PaceSituation {
    const { task, restMs = 0 } = engineOf(taskId)?.pace() ?? {};
    const wanted = Math.min(options.heldCheckIns, task === undefined ? 1 : wantedBy(task));
    return {
      ...{ now: clock.now(), holdMs: options.checkInHoldMs },
      restMs: task?.state === "paused" ? LOOK_AGAIN_MS : restMs,
      ...(publicCrowd(task) ?? countedCrowd(taskId, wanted)),
      wanted,
      // The other half is for clients on sockets.
      maxPerSecond: options.checkInsPerSecond / 2,
    };
  }

  function countedCrowd(taskId: TaskId, wanted: number) {
    const crowd = crowds.get(taskId);
    const seen = crowd?.population.estimate() ?? 0;
    return { seen, population: crowd?.credit.of(seen, CROWD * wanted) ?? 0 };
  }

  /** What a round says of those that were seen. */
  function judge({ credit }: Crowd, taskId: TaskId, verdict: "proven" | "refuted"): void {
    const { seen, wanted, now } = situationOf(taskId);
    credit[verdict](seen, CROWD * wanted, now);
  }

  function crowdOf(taskId: TaskId): Crowd {
    const known = crowds.get(taskId);
    if (known !== undefined) return known;
    const crowd = {
      population: createPopulation(counting),
      credit: createCredit(patienceMs),
      spells: 0,
    };
    crowds.set(taskId, crowd);
    return crowd;
  }

  return {
    returnOf: (taskId) => comeBackInMs(situationOf(taskId), uniform.next()),
    came: (clientId, address, taskId) => {
      const { task, selectingMs = 0 } = engineOf(taskId)?.pace() ?? {};
      if (task === undefined || task.state === "ended") return;
      const crowd = crowdOf(taskId);
      const spells = Math.floor(selectingMs / patienceMs);
      if (spells > crowd.spells) judge(crowd, taskId, "refuted");
      crowd.spells = spells;
      const away = meanAwayMs(situationOf(taskId)) ?? 0;
      crowd.population.saw(
        clientId,
        addressKey(address),
        clock.now(),
        Math.max(SHORTEST_MEMORY_MS, 2 * away),
      );
    },
    roundBegan: (taskId, roundId, held) => {
      const crowd = crowds.get(taskId);
      if (crowd !== undefined && crowd.began?.roundId !== roundId) crowd.began = { roundId, held };
    },
    roundClosed: (message) => {
      const { taskId, roundId, outcome } = message;
      const crowd = crowds.get(taskId);
      if (crowd === undefined) return;
      if (outcome === "committed" && crowd.began?.roundId === roundId) {
        const enough = Math.floor(situationOf(taskId).wanted / SPARE);
        if (crowd.began.held >= enough) judge(crowd, taskId, "proven");
      }
      if (foundTooFew(message)) judge(crowd, taskId, "refuted");
    },
    forget: (taskId) => void crowds.delete(taskId),
  };
}

/** Of a private task the reason is told only where an operator is behind it. */
function foundTooFew(message: RoundClosed): boolean {
  if (message.outcome !== "abandoned") return false;
  const { reason } = message;
  return reason === undefined || reason === "tooFewClients" || reason === "tooFewReports";
}

/** Where a sample is accounted, the number of clients is a public one, and never counted. */
function publicCrowd(task: TaskRecord | undefined) {
  if (task === undefined) return undefined;
  const { privacy, sampler } = task.spec;
  if (privacy.mechanism === "none" || sampler.kind !== "poisson") return undefined;
  return { population: sampler.population, seen: sampler.population };
}

/** With some to spare; of a public sample everybody. */
function wantedBy({ spec }: TaskRecord): number {
  const { sampler, schedule } = spec;
  if (sampler.kind === "poisson") return sampler.population;
  const cohort =
    sampler.kind === "uniform" ? Math.ceil(sampler.cohortSize * (1 + sampler.overSelection)) : 1;
  return Math.ceil(SPARE * Math.max(schedule.minClients, cohort));
}
