import { clipToNorm, subtract, toFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { deltaOf } from "./delta.ts";

const never = new AbortController().signal;

test("[SDK47] what is worked out in slices is, bit for bit, what it would be in one go", async () => {
  const vectors = fc.integer({ min: 1, max: 40 }).chain((length) =>
    fc.tuple(
      fc.float32Array({
        minLength: length,
        maxLength: length,
        noNaN: true,
        max: 2 ** 100,
        min: -(2 ** 100),
      }),
      fc.float32Array({
        minLength: length,
        maxLength: length,
        noNaN: true,
        max: 2 ** 100,
        min: -(2 ** 100),
      }),
    ),
  );
  const norm = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
  await fc.assert(
    fc.asyncProperty(vectors, norm, async ([trained, received], clippingNorm) => {
      const whole = subtract(trained, received);
      expect(await deltaOf(trained, received, {}, never)).toEqual(whole);
      clipToNorm(whole, clippingNorm);
      expect(await deltaOf(trained, received, { clippingNorm }, never)).toEqual(whole);
    }),
  );
  // Over the edges of slices, too.
  const trained = Float32Array.from({ length: 200_001 }, (_, i) => Math.sin(i) * 3);
  const received = trained.map((value) => value * 0.9);
  const whole = subtract(trained, received);
  clipToNorm(whole, 1);
  expect(await deltaOf(trained, received, { clippingNorm: 1 }, never)).toEqual(whole);
});

test("[SDK47] a large model leaves the event loop its turns, and stops when it is called off", async () => {
  const called = new AbortController();
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (turns === 2) called.abort();
    else setImmediate(turn);
  };
  setImmediate(turn);
  // More than two turns' worth of work.
  const large = new Float32Array(40_000_000);
  const outcome = await deltaOf(large, large, { clippingNorm: 1 }, called.signal).then(
    () => "done",
    (error: unknown) => toFederatedError(error).code,
  );
  expect(outcome).toBe("ABORTED");
  expect(turns).toBe(2);
});
