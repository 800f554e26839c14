import type { ClientId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { beforeEach, expect, test } from "vitest";

import { limitOf } from "./limit.ts";
import type { Rates } from "./rates.ts";
import { createRates } from "./rates.ts";

let now: number;
let rates: Rates;
beforeEach(() => {
  now = 0;
  const clock = { now: () => 0, monotonicMs: () => now, after: () => ({ cancel: () => {} }) };
  rates = createRates(
    { clock },
    {
      requestsPerSecondPerAddress: 2,
      failedAuthenticationsPerSecondPerAddress: 1,
      messagesPerSecond: 3,
      checkInsPerSecond: 6,
      checkInsPerSecondPerClient: 4,
    },
  );
});

/** Calls until it is refused. @returns how often it was let through, and the refusal */
function until(run: () => void): { passed: number; limit: string; retryAfterMs: number } {
  for (let passed = 0; passed < 1000; passed++) {
    try {
      run();
    } catch (error) {
      if (!isFederatedError(error) || error.code !== "RATE_LIMITED") throw error;
      return { passed, limit: limitOf(error) ?? "none", retryAfterMs: error.retryAfterMs ?? 0 };
    }
  }
  throw new Error("never refused");
}

test("[LIM1] requests: ten seconds' worth at once, then the rate, for each address by itself", () => {
  const limit = "requestsPerSecondPerAddress";
  expect(until(() => rates.request("1.1.1.1"))).toEqual({ passed: 20, limit, retryAfterMs: 500 });
  rates.request("1.1.1.2");
  expect(until(() => rates.request("2001:db8::1")).passed).toBe(20);
  expect(until(() => rates.request("2001:db8::ffff")).passed).toBe(0);
  now += 500;
  expect(until(() => rates.request("1.1.1.1")).passed).toBe(1);
});

test("[LIM5] wrong credentials use up a budget of their own, and right ones do not", () => {
  for (let i = 0; i < 1000; i++) rates.credentials("1.1.1.1");
  for (let i = 0; i < 50; i++) rates.credentialsWereWrong("1.1.1.1");
  expect(until(() => rates.credentials("1.1.1.1"))).toEqual({
    passed: 0,
    limit: "failedAuthenticationsPerSecondPerAddress",
    retryAfterMs: 1000,
  });
  rates.credentials("1.1.1.2");
  rates.request("1.1.1.1");
  now += 1000;
  rates.credentials("1.1.1.1");
  rates.credentialsWereWrong("1.1.1.1");
  expect(until(() => rates.credentials("1.1.1.1")).passed).toBe(0);
});

test("[LIM1] check-ins: what one client has too many of does not use up what is there for all", () => {
  const a = "a".repeat(32) as ClientId;
  const b = "b".repeat(32) as ClientId;
  const own = until(() => rates.checkIn(a));
  expect(own).toMatchObject({ passed: 40, limit: "checkInsPerSecondPerClient" });
  for (let i = 0; i < 100; i++) until(() => rates.checkIn(a));
  expect(until(() => rates.checkIn(b))).toMatchObject({ passed: 20, limit: "checkInsPerSecond" });
});

test("[LIM1] messages: each connection has its own budget", () => {
  const [mine, theirs] = [rates.messages(), rates.messages()];
  expect(until(mine)).toMatchObject({ passed: 30, limit: "messagesPerSecond" });
  theirs();
});
