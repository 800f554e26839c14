import { expect, test } from "vitest";

import { createDeferred } from "./deferred.ts";
import { createSlot } from "./slot.ts";

test("[SDK5] work runs one at a time, in order, and a fault or a place given up blocks nobody", async () => {
  const slot = createSlot();
  const { signal } = new AbortController();
  const log: string[] = [];
  const gate = createDeferred<undefined>();
  const first = slot.run(signal, async () => {
    log.push("first begins");
    await gate.promise;
    log.push("first ends");
    throw new Error("fault");
  });
  const patience = new AbortController();
  const second = slot.run(patience.signal, async () => log.push("second"));
  const third = slot.run(signal, async () => log.push("third"));
  patience.abort();
  await expect(second).rejects.toMatchObject({ code: "ABORTED" });
  expect(log).toEqual(["first begins"]);
  gate.resolve(undefined);
  await expect(first).rejects.toThrow("fault");
  await third;
  expect(log).toEqual(["first begins", "first ends", "third"]);
});
