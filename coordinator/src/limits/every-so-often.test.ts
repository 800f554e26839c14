import { expect, test } from "vitest";

import { openDeltaSum } from "../aggregation/kernel/open-kernel.ts";
import { createSumMemories } from "../aggregation/kernel/sum-memories.ts";
import { fakeClock } from "../round/fake-clock.fixture.ts";
import { everySoOften } from "./every-so-often.ts";

test("[KN12] memory that lies idle is let go of in 30 to 60 seconds, until nobody asks for that any more", async () => {
  const time = fakeClock(async () => {});
  const memories = createSumMemories();
  const stop = everySoOften(time.clock, 30_000, () => memories.age());
  const use = () => openDeltaSum(10_000, { memories }).close();
  await time.advance(20_000);
  use();
  await time.advance(30_000);
  expect(memories.idleBytes).toBeGreaterThan(0);
  await time.advance(10_000);
  expect(memories.idleBytes).toBe(0);
  use();
  stop();
  expect(time.pending()).toBe(0);
});
