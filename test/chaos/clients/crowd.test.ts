import { setMaxListeners } from "node:events";

import { createClient } from "@tributary/client-sdk";
import type { RoundResource, TaskId, TaskSpecInput } from "@tributary/protocol";
import { createLayout, ERROR_CODES } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask } from "../../support/coordinator.ts";
import type { CoordinatorProcess } from "../../support/coordinator-process.ts";
import { startCoordinatorProcess } from "../../support/coordinator-process.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { countingTrainer } from "../../support/trainers.ts";
import { membersOf, shareOf } from "../../support/whole-sum.ts";
import type { Answers, BadClient } from "./bad-clients.ts";
import { BAD_CLIENTS, duplicate, exaggerating } from "./bad-clients.ts";

const HONEST = 4;
const schedule = { selectionDeadlineMs: 2_000, reportWindowMs: 4_000 };
const CROWD = smallTask({
  schedule: { ...schedule, minClients: 8, minReports: 3, pauseBetweenRoundsMs: 100 },
  stop: { maxRounds: 6 },
});
const BOUNDED = smallTask({
  taskId: "bounded",
  clippingNorm: 8,
  weighting: { kind: "byExamples", cap: 1 },
  schedule: { ...schedule, minClients: HONEST + 1, minReports: HONEST },
  stop: { maxRounds: 3 },
});
/** Uploads are given up after a second, so that a slow one is answered within its round. */
const CONFIG = { limits: { uploadTimeoutMs: 1_000 }, timing: { abandonedRetryMs: 50 } };

/** Honest SDK clients take part until the task ends; the bad ones are at it meanwhile. */
async function play(
  running: CoordinatorProcess,
  task: TaskSpecInput,
  honest: readonly number[],
  bad: Readonly<Record<string, BadClient>>,
): Promise<Record<string, Answers>> {
  const over = new AbortController();
  // Every bad client listens, some of them in every round.
  setMaxListeners(0, over.signal);
  const layout = await createLayout(task.model.tensors);
  const answers: Record<string, Answers> = {};
  const attacks = Object.entries(bad).map(async ([name, attack]) => {
    const own = (answers[name] = {});
    const taskId = task.taskId as TaskId;
    await attack({ url: running.url, taskId, layout, over: over.signal }, own);
  });
  const crowd = Promise.all(attacks);
  const clients = honest.map((step) => {
    const client = createClient({ url: running.url, backoff: { baseMs: 10, maxMs: 100 } });
    return { client, part: client.join(task.taskId, { trainer: countingTrainer({ step }) }) };
  });
  await Promise.race([Promise.all(clients.map(({ part }) => part.done)), crowd.then(() => never)]);
  over.abort();
  await Promise.all([crowd, ...clients.map(({ client }) => client.close())]);
  return answers;
}

const never = new Promise<never>(() => undefined);

async function committedRounds(running: CoordinatorProcess, taskId: string) {
  const rounds = await running.rounds(taskId);
  return rounds
    .filter(
      (round): round is RoundResource & { modelVersion: number } => round.phase === "committed",
    )
    .sort((a, b) => a.modelVersion - b.modelVersion);
}

test("[AT6] a crowd of bad clients: honest rounds complete, the model is the honest mean exactly, everybody else is refused with a code", async () => {
  await using folder = await temporaryFolder();
  await using running = await startCoordinatorProcess({
    ...{ directory: folder.path, tasks: [CROWD], config: CONFIG },
  });
  const before = await running.vitals();
  const steps = Array.from({ length: HONEST }, (_, index) => shareOf(index));
  const bad = Object.fromEntries(Object.entries(BAD_CLIENTS).map(([name, make]) => [name, make()]));
  const answers = await play(running, CROWD, steps, {
    ...bad,
    duplicate: duplicate(shareOf(HONEST)),
  });

  const rounds = await committedRounds(running, CROWD.taskId);
  expect(rounds).toHaveLength(6);
  for (const round of rounds) {
    const members = membersOf(
      round,
      await running.weights(CROWD, round.modelVersion - 1),
      await running.weights(CROWD, round.modelVersion),
    );
    // Nobody but the honest, and the one who said the right thing too often.
    for (const member of members) expect(member).toBeLessThanOrEqual(HONEST);
  }

  const told = (name: string, what: string) => {
    const said = answers[name]?.[what] ?? [];
    expect(said.length, `${name}: ${what}`).toBeGreaterThan(0);
    return [...new Set(said)].sort();
  };
  expect(told("lying", "NaN")).toContain("UPDATE_NOT_FINITE");
  expect(told("lying", "infinite")).toContain("UPDATE_NOT_FINITE");
  expect(told("lying", "no examples")).toContain("MALFORMED_MESSAGE");
  expect(told("lying", "figures")).toContain("MALFORMED_MESSAGE");
  expect(told("slow", "slow upload")).toContain("UNAVAILABLE");
  expect(told("stale", "old token")).toContain("UNAUTHENTICATED");
  expect(told("stale", "old round")).toContain("ROUND_CLOSED");
  expect(told("early", "guessed token")).toContain("UNAUTHENTICATED");
  expect(told("foreign", "foreign layout")).toContain("UPDATE_LAYOUT_MISMATCH");
  expect(told("foreign", "foreign protocol")).toEqual(["PROTOCOL_VERSION_UNSUPPORTED"]);
  expect(told("foreign", "foreign task")).toEqual(["TASK_NOT_FOUND"]);
  expect(told("oversized", "too long")).toContain("UPDATE_TOO_LARGE");
  expect(told("oversized", "length that lies")).toContain("UPDATE_TOO_LARGE");
  expect(told("garbage", "noise as update")).toContain("MALFORMED_MESSAGE");
  expect(told("garbage", "noise as message")).toEqual(["MALFORMED_MESSAGE"]);
  expect(told("garbage", "noise as HTTP")).toEqual(["400"]);
  expect(told("duplicate", "again")).toContain("duplicate");
  expect(told("duplicate", "changed")).toContain("UPDATE_CONFLICT");
  // Nobody was told anything that is no code, and no bad update was ever taken.
  const codes = new Set<string>([...ERROR_CODES, "cut", "over", "400"]);
  for (const [name, said] of Object.entries(answers)) {
    if (name === "duplicate") codes.add("duplicate").add("accepted").add("committed");
    for (const answer of Object.values(said).flat()) expect([...codes], name).toContain(answer);
  }

  const after = await running.vitals();
  expect(after.rssMegabytes - before.rssMegabytes).toBeLessThan(150);
  expect(running.isAlive()).toBe(true);
  expect(running.output()).not.toMatch(/"level":"error"|INTERNAL/);
});

test("[AT7] whatever a client claims of its update, it moves the mean by no more than the clipping norm and its weight", async () => {
  await using folder = await temporaryFolder();
  await using running = await startCoordinatorProcess({
    ...{ directory: folder.path, tasks: [BOUNDED], config: CONFIG },
  });
  // Norm of the honest: sqrt(7) < 8, so nothing of theirs is clipped.
  const steps = Array.from({ length: HONEST }, () => 1);
  const answers = await play(running, BOUNDED, steps, { exaggerating });
  expect(answers.exaggerating?.exaggeration).toContain("accepted");
  const rounds = await committedRounds(running, BOUNDED.taskId);
  expect(rounds).toHaveLength(3);
  for (const { modelVersion, participants } of rounds) {
    const base = await running.weights(BOUNDED, modelVersion - 1);
    const next = await running.weights(BOUNDED, modelVersion);
    const total = participants!.reported;
    const step = next.map((weight, i) => (weight - base[i]!) * total);
    const lied = Math.hypot(...step.map((sum) => sum - HONEST));
    if (total === HONEST + 1) {
      expect(lied).toBeGreaterThan(7.9);
      expect(lied).toBeLessThan(8.001);
    } else expect(lied).toBeLessThan(8.001);
  }
  expect(rounds.some(({ participants }) => participants?.reported === HONEST + 1)).toBe(true);
});
