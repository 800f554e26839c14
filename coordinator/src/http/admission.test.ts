import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createAdmission } from "./admission.ts";

const never = new AbortController().signal;
let senders = 0;
const someone = () => `sender ${++senders}`;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("admission", () => {
  it("[API20] gives turns in order of arrival, never more at once than allowed", async () => {
    const admission = createAdmission({ concurrent: 2, queued: 5, retryAfterMs: 1 });
    const order: number[] = [];
    const leaves: (() => void)[] = [];
    const entering = [0, 1, 2, 3].map(async (i) => {
      leaves[i] = await admission.enter(someone(), never);
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
    const admission = createAdmission({ concurrent: 1, queued: 1, retryAfterMs: 1234 });
    const leave = await admission.enter(someone(), never);
    const second = admission.enter(someone(), never);
    await expect(admission.enter(someone(), never)).rejects.toMatchObject({
      code: "RATE_LIMITED",
      retryAfterMs: 1234,
    });
    leave();
    (await second)();
    expect(admission).toMatchObject({ active: 0, waiting: 0 });
  });

  it("[API20] who gives up waiting leaves the queue and takes no turn", async () => {
    const admission = createAdmission({ concurrent: 1, queued: 2, retryAfterMs: 1 });
    const leave = await admission.enter(someone(), never);
    const impatient = new AbortController();
    const waiting = admission.enter(someone(), impatient.signal);
    const patient = admission.enter(someone(), never);
    impatient.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    expect(admission.waiting).toBe(1);
    leave();
    (await patient)();
    await expect(admission.enter(someone(), impatient.signal)).rejects.toThrow("gone");
    expect(admission).toMatchObject({ active: 0, waiting: 0 });
  });

  it("[API26] gives each sender one place: a newer request takes it from the older one", async () => {
    const admission = createAdmission({ concurrent: 1, queued: 1, retryAfterMs: 1 });
    const first = await admission.enter("a", never);
    expect(first.replaced.aborted).toBe(false);
    const second = admission.enter("a", never);
    expect(first.replaced.reason).toMatchObject({ code: "ABORTED" });
    const third = admission.enter("a", never);
    await expect(second).rejects.toMatchObject({ code: "ABORTED" });
    first();
    (await third)();
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
          const admission = createAdmission({ concurrent, queued, retryAfterMs: 1 });
          const held: (() => void)[] = [];
          const waiting: AbortController[] = [];
          for (const action of steps) {
            if (action === "enter") {
              const controller = new AbortController();
              const full = admission.active === concurrent && admission.waiting === queued;
              const entering = admission.enter(someone(), controller.signal).then(
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
});
