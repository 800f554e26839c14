import type { TaskHistory, TaskId } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createLongHistory } from "./long-history.ts";

const TASK = "digits" as TaskId;

function page(from: number, to: number, extra: Partial<TaskHistory> = {}): TaskHistory {
  const roundNumber = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  return {
    taskId: TASK,
    roundNumber,
    baseModelVersion: roundNumber.map((n) => n - 1),
    modelVersion: roundNumber,
    openedAtMs: roundNumber.map((n) => n * 1000),
    endedAtMs: roundNumber.map((n) => n * 1000 + 500),
    ...extra,
  };
}

function setUp(answer: (path: string) => TaskHistory | Error) {
  const asked: string[] = [];
  const timers: (() => void)[] = [];
  const history = createLongHistory(
    {
      api: {
        getJson: async <T>(path: string) => {
          asked.push(path);
          const given = answer(path);
          if (given instanceof Error) throw given;
          return given as T;
        },
      },
      after: (_, run) => timers.push(run),
    },
    TASK,
  );
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  return { history, asked, settle, rested: () => timers.shift()?.() };
}

test("[DB33] thousands of rounds come in large answers, then only what is new, and bursts are one question", async () => {
  const { history, asked, settle, rested } = setUp((path) => {
    if (path.endsWith("after=0")) return page(1, 3, { next: 3, accuracy: [null, 0.5, 0.6] });
    if (path.endsWith("after=3")) return page(4, 5);
    return page(6, 9);
  });
  history.follow(5);
  await settle();
  const { table, isWhole } = history.state.value;
  expect(isWhole).toBe(true);
  expect(table.columns.roundNumber).toEqual([1, 2, 3, 4, 5]);
  // A column that an answer leaves out is one of gaps.
  expect(table.columns.accuracy).toEqual([null, 0.5, 0.6, null, null]);
  for (const ended of [6, 7, 8, 9]) history.follow(ended);
  await settle();
  expect(asked).toHaveLength(2);
  rested();
  await settle();
  expect(asked.map((path) => path.split("?")[1])).toEqual(["after=0", "after=3", "after=5"]);
  expect(history.state.value.table.length).toBe(9);
  rested();
  await settle();
  expect(asked).toHaveLength(3);
});

test("[DB33] a load that fails keeps what there is and says why; the next one goes on from there", async () => {
  let works = true;
  const { history, settle, rested } = setUp((path) => {
    if (!works) return new FederatedError("UNAVAILABLE", "gone");
    return path.endsWith("after=0") ? page(1, 2) : page(3, 3);
  });
  history.follow(2);
  await settle();
  works = false;
  rested();
  history.follow(3);
  await settle();
  expect(history.state.value).toMatchObject({ table: { length: 2 }, loading: false });
  expect(history.state.value.fault?.code).toBe("UNAVAILABLE");
  works = true;
  history.retry();
  await settle();
  expect(history.state.value).toMatchObject({ table: { length: 3 }, fault: undefined });
});

test("[DB33] rounds of a coordinator that goes on from older data are loaded anew", async () => {
  const { history, asked, settle, rested } = setUp(() => page(1, asked.length === 1 ? 5 : 2));
  history.follow(5);
  await settle();
  rested();
  history.follow(2);
  await settle();
  expect(asked.at(-1)).toMatch(/after=0$/);
  expect(history.state.value.table.columns.roundNumber).toEqual([1, 2]);
});
