import { expect, test } from "vitest";

import { REST_AFTER_MS, restUnseen } from "./rest-unseen.ts";

test("[DB15] a page that is out of sight for longer than a glance rests, and goes on when it is seen", () => {
  const told: string[] = [];
  const timers: { ms: number; run: () => void }[] = [];
  const seen: { visibilityState: DocumentVisibilityState } = { visibilityState: "visible" };
  const page = Object.assign(new EventTarget(), seen);
  const turn = (visibilityState: DocumentVisibilityState) => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  restUnseen(
    {
      page,
      after: (ms, run) => {
        const timer = { ms, run };
        timers.push(timer);
        return () => void timers.splice(0, timers.length);
      },
    },
    { rest: () => told.push("rest"), retryNow: () => told.push("retry") },
  );
  turn("hidden");
  turn("visible");
  expect(timers).toEqual([]);
  expect(told).toEqual([]);

  turn("hidden");
  expect(timers.map(({ ms }) => ms)).toEqual([REST_AFTER_MS]);
  timers[0]!.run();
  turn("visible");
  turn("visible");
  expect(told).toEqual(["rest", "retry"]);
});
