import { readPayload } from "@tributary/protocol";
import { expect, test } from "vitest";

import { encodeDelta, keepsRest } from "./encode-delta.ts";
import { drawsOf } from "./seeded.ts";

const { normal } = drawsOf(1);
const deltaOf = () => Float32Array.from({ length: 3000 }, normal);

test("[SI2] under feedback what is sent in several rounds, with the rest, is what was learned in them", () => {
  for (const kind of ["topK", "randomK"] as const) {
    const encoding = { kind, fraction: 0.1, values: "int8", feedback: true } as const;
    const learned = new Float64Array(3000);
    const sent = new Float64Array(3000);
    let rest: Float32Array | undefined;
    for (let round = 0; round < 5; round++) {
      const delta = deltaOf();
      delta.forEach((value, i) => (learned[i] = (learned[i] as number) + value));
      const made = encodeDelta(encoding, delta, rest, round);
      readPayload(encoding, 3000, made.payload, (value, i) => {
        sent[i] = (sent[i] as number) + value;
      });
      rest = made.rest;
    }
    const kept = rest ?? new Float32Array(3000);
    const farthest = learned.reduce(
      (most, value, i) =>
        Math.max(most, Math.abs(value - (sent[i] as number) - (kept[i] as number))),
      0,
    );
    expect(farthest).toBeLessThan(1e-5);
    expect(kept.some((value) => Math.abs(value) > 1)).toBe(true);
  }
});

test("[SI1] chance comes from the seed, and nothing is kept without feedback", () => {
  const delta = deltaOf();
  const int8 = { kind: "int8" } as const;
  const { payload, rest } = encodeDelta(int8, delta, undefined, 7);
  expect(encodeDelta(int8, delta, undefined, 7).payload).toEqual(payload);
  expect(encodeDelta(int8, delta, undefined, 8).payload).not.toEqual(payload);
  expect(rest).toBeUndefined();
  expect(keepsRest(int8)).toBe(false);
});
