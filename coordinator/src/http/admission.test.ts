import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createAdmission } from "./admission.ts";

/** Of a request that nothing ends. */
const never = new AbortController();
let senders = 0;
const someone = () => `sender ${++senders}`;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("admission", () => {
  it("[API20] gives turns in order of arrival, never more at once than allowed", async () => {
    const admission = createAdmission({
      concurrent: 2,
      queued: 5,
      memoryBytes: 100,
      retryAfterMs: 1,
    });
    const order: number[] = [];
    const leaves: (() => void)[] = [];
    const entering = [0, 1, 2, 3].map(async (i) => {
      leaves[i] = await admission.enter(someone(), 0, never);
      order.push(i);
    });
    await settled();
    expect(order).toEqual([0, 1]);
    leaves[1]!();
    leaves[1]!(); // a turn given back twice is one turn
    await settled();
    expect(order).toEqual([0, 1, 2]);
    leaves[0]!();
    await Promise.all(entering);
    expect(order).toEqual([0, 1, 2, 3]);
    expect(admission.active).toBe(2);
  });

  it("[API20] refuses what does not fit into the queue, and says when to come again", async () => {
    const admission = createAdmission({
      concurrent: 1,
      queued: 1,
      memoryBytes: 100,
      retryAfterMs: 1234,
    });
    const leave = await admission.enter(someone(), 0, never);
    const second = admission.enter(someone(), 0, never);
    await expect(admission.enter(someone(), 0, never)).rejects.toMatchObject({
      code: "RATE_LIMITED",
      retryAfterMs: 1234,
    });
    leave();
    (await second)();
    expect(admission).toMatchObject({ active: 0, waiting: 0 });
  });

  it("[API20] who gives up waiting leaves the queue and takes no turn", async () => {
    const admission = createAdmission({
      concurrent: 1,
      queued: 2,
      memoryBytes: 100,
      retryAfterMs: 1,
    });
    const leave = await admission.enter(someone(), 0, never);
    const impatient = new AbortController();
    const waiting = admission.enter(someone(), 0, impatient);
    const patient = admission.enter(someone(), 0, never);
    impatient.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    expect(admission.waiting).toBe(1);
    leave();
    (await patient)();
    await expect(admission.enter(someone(), 0, impatient)).rejects.toThrow("gone");
    expect(admission).toMatchObject({ active: 0, waiting: 0 });
  });

  it("[API26] gives each sender one place: a newer request takes it from the older one", async () => {
    const admission = createAdmission({
      concurrent: 1,
      queued: 1,
      memoryBytes: 100,
      retryAfterMs: 1,
    });
    const [older, newer, newest] = [0, 1, 2].map(() => new AbortController()) as [
      AbortController,
      AbortController,
      AbortController,
    ];
    const first = await admission.enter("a", 0, older);
    expect(older.signal.aborted).toBe(false);
    const second = admission.enter("a", 0, newer);
    expect(older.signal.reason).toMatchObject({ code: "ABORTED" });
    const third = admission.enter("a", 0, newest);
    await expect(second).rejects.toMatchObject({ code: "ABORTED" });
    first();
    (await third)();
    // Who has given its turn back is left alone.
    (await admission.enter("a", 0, never))();
    expect(newest.signal.aborted).toBe(false);
    expect(admission).toMatchObject({ active: 0, waiting: 0 });
  });

  it("[API20] holds its bounds in any order of coming, leaving and giving up", async () => {
    const step = fc.constantFrom("enter", "leave", "giveUp");
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(step, { maxLength: 40 }),
        async (concurrent, queued, steps) => {
          const admission = createAdmission({
            concurrent,
            queued,
            memoryBytes: 100,
            retryAfterMs: 1,
          });
          const held: (() => void)[] = [];
          const waiting: AbortController[] = [];
          for (const action of steps) {
            if (action === "enter") {
              const controller = new AbortController();
              const full = admission.active === concurrent && admission.waiting === queued;
              const entering = admission.enter(someone(), 0, controller).then(
                (leave) => {
                  waiting.splice(waiting.indexOf(controller), 1);
                  held.push(leave);
                  return "in";
                },
                (error: unknown) => (isFederatedError(error) ? "refused" : "gaveUp"),
              );
              waiting.push(controller);
              if (full) {
                waiting.pop();
                expect(await entering).toBe("refused");
              }
            } else if (action === "leave") held.pop()?.();
            else waiting.pop()?.abort(new Error("gone"));
            await settled();
            expect(admission.active).toBe(held.length);
            expect(admission.active).toBeLessThanOrEqual(concurrent);
            expect(admission.waiting).toBe(waiting.length);
            expect(admission.waiting).toBeLessThanOrEqual(queued);
            // No turn stays free while somebody waits.
            if (admission.waiting > 0) expect(admission.active).toBe(concurrent);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  describe("by memory", () => {
    const start = () =>
      createAdmission({ concurrent: 10, queued: 10, memoryBytes: 100, retryAfterMs: 1 });

    it("[LIM9] never lets in more bytes at once than there is memory, in order of arrival", async () => {
      const admission = start();
      const first = await admission.enter("a", 60, never);
      const another = await admission.enter("b", 20, never);
      const order: string[] = [];
      const enter = async (name: string, bytes: number) => {
        const leave = await admission.enter(name, bytes, never);
        order.push(name);
        return leave;
      };
      const big = enter("big", 70);
      const small = enter("small", 10);
      await settled();
      // The small one would fit, and waits all the same: the big one would never have its turn.
      expect(order).toEqual([]);
      another();
      await settled();
      expect(order).toEqual([]);
      first();
      await Promise.all([big, small]);
      expect(order).toEqual(["big", "small"]);
      expect(admission).toMatchObject({ active: 2, bytes: 80, waiting: 0 });
    });

    it("[LIM9] lets one that needs more than all of it in alone", async () => {
      const admission = start();
      const first = await admission.enter("a", 1, never);
      const huge = admission.enter("huge", 1_000, never);
      const next = admission.enter("next", 1, never);
      await settled();
      expect(admission).toMatchObject({ active: 1, waiting: 2 });
      first();
      const leave = await huge;
      await settled();
      expect(admission).toMatchObject({ active: 1, bytes: 1_000, waiting: 1 });
      leave();
      (await next)();
      expect(admission).toMatchObject({ active: 0, bytes: 0, waiting: 0 });
    });

    it("[LIM9] who gives up waiting lets those behind go on", async () => {
      const admission = start();
      const first = await admission.enter("a", 60, never);
      const impatient = new AbortController();
      const big = admission.enter("big", 70, impatient);
      const small = admission.enter("small", 10, never);
      impatient.abort(new Error("gone"));
      await expect(big).rejects.toThrow("gone");
      (await small)();
      first();
      expect(admission).toMatchObject({ active: 0, bytes: 0, waiting: 0 });
    });
  });
});
