/** The clients of a kill run: the real SDK with a trainer whose step names its client. */

import { createHash } from "node:crypto";

import type { Client, Participant, Trainer } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import type { RoundId } from "@tributary/protocol";

import { pause } from "../support/server-process.ts";
import type { Diary } from "./diary.ts";
import { workOf } from "./diary.ts";

export const CLIENTS = 6;

export interface Fleet extends AsyncDisposable {
  readonly participants: readonly Participant[];
}

/**
 * Client `i` moves every weight by 2^i: whoever knows the mean and the number of reports can read off
 * the model who was counted, and how often.
 */
export const stepOf = (index: number): number => 2 ** index;

const trainer = (index: number, random: () => number): Trainer => ({
  train: async ({ weights, signal }) => {
    await pause(2 + random() * 40);
    signal.throwIfAborted();
    const step = stepOf(index);
    return { weights: weights.map((weight) => weight + step), numExamples: 1, metrics: {} };
  },
});

/** @param tasks by client: which tasks it joins */
export function startFleet(
  url: string,
  tasks: readonly (readonly string[])[],
  diary: Diary,
  random: () => number,
): Fleet {
  const clients: Client[] = [];
  const participants: Participant[] = [];
  for (const [index, taskIds] of tasks.entries()) {
    const client = createClient({
      url,
      // A coordinator that is back is found within a fraction of a second.
      backoff: { baseMs: 20, maxMs: 200 },
      fetch: tapped(diary, index),
    });
    clients.push(client);
    for (const taskId of taskIds) {
      participants.push(follow(client.join(taskId, { trainer: trainer(index, random) })));
    }

    function follow(participant: Participant): Participant {
      participant.on("assigned", ({ roundId }) => {
        const work = workOf(diary, roundId, index);
        work.trainings += 1;
        if (work.trainings > 1) {
          diary.violations.push(`client ${index} trained ${work.trainings} times for ${roundId}`);
        }
        const places = diary.selected.get(roundId);
        const members = diary.work.get(roundId)?.size ?? 0;
        if (places !== undefined && members > places) {
          diary.violations.push(`${members} clients hold the ${places} places of ${roundId}`);
        }
      });
      participant.on("reported", ({ roundId, status }) => {
        workOf(diary, roundId, index).receipts.push({ status, life: diary.life });
      });
      participant.on("closed", (message) => {
        if (message.outcome === "committed") {
          diary.committed.set(message.roundId, message.modelVersion);
        }
      });
      participant.on("ended", (end) => {
        if (end.reason === "closed") return;
        const why = end.reason === "failed" ? `: ${end.error.code} ${end.error.message}` : "";
        diary.violations.push(`client ${index} ended, ${end.reason}${why}`);
      });
      return participant;
    }
  }
  return {
    participants,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** `fetch` with a note of every update on its way: what is sent again must be the same bytes. */
function tapped(diary: Diary, index: number): typeof fetch {
  return async (input, init) => {
    const path = input instanceof Request ? input.url : String(input);
    const round = /\/v1\/rounds\/([^/]+)\/update$/.exec(path)?.[1];
    if (round !== undefined && init?.body instanceof Uint8Array) {
      const work = workOf(diary, decodeURIComponent(round) as RoundId, index);
      work.puts += 1;
      work.bodies.add(createHash("sha256").update(init.body).digest("hex"));
      if (work.bodies.size > 1) {
        diary.violations.push(`client ${index} sent ${work.bodies.size} updates for ${round}`);
      }
    }
    return fetch(input, init);
  };
}
