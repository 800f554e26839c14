/** Compares what a coordinator says of itself after a restart with everything that was seen before. */

import { createHash } from "node:crypto";

import type {
  Digest,
  Layout,
  ModelResource,
  Page,
  PrivacyResource,
  RoundId,
  RoundResource,
  TaskResource,
} from "@tributary/protocol";
import { decodeCheckpoint, routes } from "@tributary/protocol";

import { ADMIN_TOKEN } from "../support/server-process.ts";
import type { Diary } from "./diary.ts";
import { noteRound, noteVersion } from "./diary.ts";
import { CLIENTS, stepOf } from "./fleet.ts";
import type { TaskSet } from "./tasks.ts";

export interface Inspector {
  /** Looks at every task; what is wrong goes into the diary. */
  inspect(url: string): Promise<void>;
  /** Versions of every task together, and rounds that have ended. */
  totals(): { readonly versions: number; readonly rounds: number; readonly uncounted: number };
}

interface SeenBefore {
  readonly announced: readonly string[];
  readonly ended: readonly RoundId[];
  readonly committed: readonly (readonly [RoundId, number])[];
}

export function createInspector(
  diary: Diary,
  { counted, medians }: Pick<TaskSet, "counted" | "medians">,
): Inspector {
  const models = new Map<string, readonly ModelResource[]>();
  const firstWeights = new Map<Digest, number>();
  const rounds = new Map<string, Map<RoundId, RoundResource>>();
  let uncounted = 0;
  const blame = (message: string) => void diary.violations.push(message);

  async function inspectTask(url: string, task: TaskResource, seen: SeenBefore): Promise<void> {
    const { taskId } = task;
    const items = await allOf<ModelResource>(url, routes.models.path({ taskId }));
    items.sort((a, b) => a.modelVersion - b.modelVersion);
    items.forEach(({ modelVersion, digest }, i) => {
      if (modelVersion !== i) blame(`${taskId} has version ${modelVersion} in place ${i}`);
      noteVersion(diary, taskId, modelVersion, digest);
    });
    const before = models.get(taskId) ?? [];
    if (items.length < before.length) {
      blame(`${taskId} had ${before.length} versions, has ${items.length}`);
    }
    models.set(taskId, items);
    for (const { digest } of items.slice(Math.max(0, before.length - 1))) {
      firstWeights.set(digest, await firstWeightOf(url, digest, task.layout));
    }
    await inspectRounds(url, task, items, seen);
    if (task.spec.privacy.mechanism !== "none") await inspectLedger(url, task, items);
    const newest = items.slice(Math.max(0, before.length - 1));
    if (counted.includes(taskId)) countAgain(task, newest);
    if (medians.includes(taskId)) takeMediansAgain(task, newest);
  }

  /** The bytes are there and are what their digest says. */
  async function firstWeightOf(url: string, digest: Digest, layout: Layout): Promise<number> {
    const response = await fetch(`${url}${routes.checkpointByDigest.path({ digest })}`);
    const frame = new Uint8Array(await response.arrayBuffer());
    const found = createHash("sha256").update(frame).digest("hex");
    if (!response.ok || found !== digest) {
      blame(`checkpoint ${digest} is answered by ${response.status} with ${found}`);
      return Number.NaN;
    }
    return decodeCheckpoint(layout, frame).weights[0] ?? Number.NaN;
  }

  async function inspectRounds(
    url: string,
    { taskId }: TaskResource,
    items: readonly ModelResource[],
    before: SeenBefore,
  ): Promise<void> {
    const history = new Map<RoundId, RoundResource>();
    for (const round of await allOf<RoundResource>(url, routes.rounds.path({ taskId }))) {
      if (history.has(round.roundId)) blame(`round ${round.roundId} is listed twice`);
      history.set(round.roundId, round);
      // An answer that was written before the end was told is old, not wrong.
      const isOld = round.endedAt === undefined && diary.ended.has(round.roundId);
      if (!isOld || before.ended.includes(round.roundId)) noteRound(diary, round);
    }
    for (const roundId of before.ended) {
      if (roundId.startsWith(`${taskId}.`) && !history.has(roundId)) {
        blame(`round ${roundId} has ended and is gone`);
      }
    }
    const all = [...history.values()];
    const open = all.filter(({ endedAt }) => endedAt === undefined);
    if (open.length > 1) blame(`${taskId} has ${open.length} open rounds`);
    const made = all.flatMap(({ modelVersion }) => modelVersion ?? []);
    if (new Set(made).size !== made.length) blame(`${taskId} counts a version for two rounds`);
    // Read before the rounds: one may have been committed in between.
    for (const { modelVersion } of items.slice(1)) {
      if (!made.includes(modelVersion)) blame(`${taskId} v${modelVersion} is of no round`);
    }
    for (const [roundId, modelVersion] of before.committed) {
      if (!roundId.startsWith(`${taskId}.`)) continue;
      const kept = history.get(roundId)?.modelVersion;
      if (kept !== modelVersion) blame(`${roundId} was told as v${modelVersion}, is v${kept ?? 0}`);
    }
    rounds.set(taskId, history);
  }

  /** The ledger is read last: it must never say less than what was released before. */
  async function inspectLedger(
    url: string,
    { taskId }: TaskResource,
    items: readonly ModelResource[],
  ): Promise<void> {
    const released = items.length - 1;
    const epsilons = [...(rounds.get(taskId)?.values() ?? [])]
      .filter(({ phase }) => phase === "committed")
      .sort((a, b) => (a.modelVersion ?? 0) - (b.modelVersion ?? 0))
      .map(({ epsilon }) => epsilon ?? Number.NaN);
    const privacy = await get<PrivacyResource>(url, routes.privacy.path({ taskId }));
    // A run costs the same from its first step on; of rounds each costs something.
    const isRun = privacy.mechanism === "matrix";
    epsilons.forEach((epsilon, i) => {
      const before = epsilons[i - 1] ?? 0;
      if (!(isRun && i > 0 ? epsilon === before : epsilon > before)) {
        blame(`${taskId}'s epsilon went from ${before} to ${epsilon}`);
      }
    });
    if (privacy.mechanism !== "central" && !isRun) {
      blame(`${taskId} has lost its privacy`);
      return;
    }
    if (privacy.rounds < released || privacy.epsilon < (epsilons.at(-1) ?? 0)) {
      const spent = `${privacy.rounds} charges, epsilon ${privacy.epsilon}`;
      blame(`${taskId} has released ${released} versions for ${spent}`);
    }
  }

  /** Takes each version apart: who is in it, once each, and does every client's receipt agree? */
  function countAgain({ taskId }: TaskResource, items: readonly ModelResource[]): void {
    for (const [i, { modelVersion, digest }] of items.entries()) {
      const base = items[i - 1];
      if (base === undefined) continue;
      const round = [...(rounds.get(taskId)?.values() ?? [])].find(
        (one) => one.modelVersion === modelVersion,
      );
      if (round === undefined) continue;
      const { reported, selected } = round.participants ?? { reported: NaN, selected: NaN };
      const step = (firstWeights.get(digest) ?? NaN) - (firstWeights.get(base.digest) ?? NaN);
      const sum = Math.round(step * reported);
      const members = Array.from({ length: CLIENTS }, (_, index) => index).filter(
        (index) => (sum & stepOf(index)) !== 0,
      );
      const name = `${taskId} v${modelVersion}`;
      if (Math.abs(step * reported - sum) > 0.1 || sum >= stepOf(CLIENTS)) {
        blame(`${name} moved by ${step} for ${reported} reports, which no clients add up to`);
      }
      if (members.length !== reported) {
        blame(`${name} holds clients ${members.join()} for ${reported} reports`);
      }
      const work = diary.work.get(round.roundId);
      for (const index of members) {
        if (work?.get(index)?.bodies.size !== 1)
          blame(`${name} holds client ${index}, who sent none`);
      }
      for (const [index, { receipts }] of work ?? []) {
        if (members.includes(index) || receipts.length === 0) continue;
        // Counted by a life that was killed, and not back in time for the one that committed.
        if (reported < selected) uncounted += 1;
        else blame(`${name} is without client ${index}, who has a receipt`);
      }
    }
  }

  /** Is each version's step the median of so many clients of its round, who did send something? */
  function takeMediansAgain({ taskId }: TaskResource, items: readonly ModelResource[]): void {
    for (const [i, { modelVersion, digest }] of items.entries()) {
      const base = items[i - 1];
      const round = [...(rounds.get(taskId)?.values() ?? [])].find(
        (one) => one.modelVersion === modelVersion,
      );
      if (base === undefined || round === undefined) continue;
      const { reported = NaN } = round.participants ?? {};
      const step = (firstWeights.get(digest) ?? NaN) - (firstWeights.get(base.digest) ?? NaN);
      const senders = [...(diary.work.get(round.roundId) ?? [])]
        .filter(([, { bodies }]) => bodies.size === 1)
        .map(([index]) => stepOf(index))
        .sort((a, b) => a - b);
      const known = subsetsOf(senders, reported).map(medianOf);
      if (!known.some((median) => Math.abs(median - step) < 0.1)) {
        blame(
          `${taskId} v${modelVersion} moved by ${step}, the median of no ${reported} of ${senders.join()}`,
        );
      }
    }
  }

  return {
    inspect: async (url) => {
      // What is told while the API is being read may be newer than what was read.
      const seen = {
        announced: [...diary.announced.keys()],
        ended: [...diary.ended.keys()],
        committed: [...diary.committed],
      };
      const { items } = await get<{ items: TaskResource[] }>(url, routes.tasks.path());
      for (const task of items) await inspectTask(url, task, seen);
      for (const key of seen.announced) {
        const [taskId = "", version] = key.split(" v");
        if ((models.get(taskId)?.length ?? 0) <= Number(version)) blame(`${key} is lost`);
      }
    },
    totals: () => ({
      versions: [...models.values()].reduce((sum, items) => sum + items.length - 1, 0),
      rounds: diary.ended.size,
      uncounted,
    }),
  };
}

/** All choices of `count`, in order. */
function subsetsOf(values: readonly number[], count: number): number[][] {
  if (count === 0) return [[]];
  return values.flatMap((value, i) =>
    subsetsOf(values.slice(i + 1), count - 1).map((rest) => [value, ...rest]),
  );
}

/** @param sorted at least one */
function medianOf(sorted: readonly number[]): number {
  const upper = sorted[sorted.length >> 1] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] as number)) / 2;
}

async function get<T>(url: string, path: string): Promise<T> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const response = await fetch(`${url}${path}`, { headers });
  if (!response.ok) throw new Error(`${path} is answered by ${response.status}`);
  return (await response.json()) as T;
}

/** Every page, newest first. */
async function allOf<T>(url: string, path: string): Promise<T[]> {
  const all: T[] = [];
  let before: number | undefined;
  do {
    const from = before === undefined ? "" : `&before=${before}`;
    const page = await get<Page<T>>(url, `${path}?limit=200${from}`);
    all.push(...page.items);
    before = page.next;
  } while (before !== undefined);
  return all;
}
