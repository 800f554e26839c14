import { gunzipSync } from "node:zlib";

import type { Digest } from "@tributary/protocol";
import { patchCheckpoint } from "@tributary/protocol";
import { expect, test } from "vitest";

import { gzipPlanes } from "../http/gzip-planes.ts";
import { createCheckpointDeltas } from "./checkpoint-deltas.ts";

const MiB = 2 ** 20;
const name = (of: string) => of.repeat(64) as Digest;
const [A, B, C, NOISE, SMALL, OTHER] = ["a", "b", "c", "d", "e", "f"].map(name) as [
  Digest,
  Digest,
  Digest,
  Digest,
  Digest,
  Digest,
];

/** Frames of 200 000 values that are close to one another, of noise, and of other sizes. */
function setUp(deltaMemoryBytes = 64 * MiB) {
  const values = Float32Array.from({ length: 200_000 }, (_, i) => Math.sin(i + 1));
  const moved = (by: number) => new Uint8Array(values.map((value) => value * (1 + by)).buffer);
  let state = 1;
  const noise = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  const frames = new Map<Digest, Uint8Array>([
    [A, moved(0)],
    [B, moved(1e-5)],
    [C, moved(2e-5)],
    [NOISE, new Uint8Array(Uint32Array.from(values, noise).buffer)],
    [SMALL, new Uint8Array(16_380)],
    [OTHER, new Uint8Array(800_004)],
  ]);
  const read: Digest[] = [];
  const warnings: unknown[] = [];
  const counts = { packed: 0, atOnce: 0, most: 0 };
  const deltas = createCheckpointDeltas(
    {
      frameOf: async (digest) => {
        read.push(digest);
        return frames.get(digest);
      },
      gzip: async (bytes) => {
        counts.packed += 1;
        counts.atOnce += 1;
        counts.most = Math.max(counts.most, counts.atOnce);
        try {
          return await gzipPlanes(bytes);
        } finally {
          counts.atOnce -= 1;
        }
      },
      logger: { warn: (fields) => void warnings.push(fields) },
    },
    { deltaMemoryBytes },
  );
  /** Does the delta make the target of the base? */
  const makes = (base: Digest, target: Digest, packed: Uint8Array) => {
    const work = patchCheckpoint(frames.get(base)!, gunzipSync(packed));
    work.run(0, work.length);
    return Buffer.from(work.bytes).equals(frames.get(target)!);
  };
  return { deltas, frames, read, warnings, counts, makes };
}

test("[DW3] each pair is made once, however many ask for it, one at a time", async () => {
  const { deltas, frames, counts, makes } = setUp();
  const answers = await Promise.all([
    ...Array.from({ length: 20 }, () => deltas.between(A, B)),
    ...Array.from({ length: 20 }, () => deltas.between(B, C)),
  ]);
  expect(new Set(answers).size).toBe(2);
  expect(makes(A, B, answers[0]!)).toBe(true);
  expect(makes(B, C, answers[39]!)).toBe(true);
  expect(answers[0]!.length).toBeLessThan(frames.get(B)!.length / 2);
  expect(await deltas.between(A, B)).toBe(answers[0]);
  expect(counts).toMatchObject({ packed: 2, most: 1 });
});

test("[DW3] none where it does not pay, which is remembered, too", async () => {
  const { deltas, counts, read, warnings } = setUp();
  for (const [base, target] of [
    [A, NOISE],
    [A, NOISE],
    [A, SMALL],
    [A, OTHER],
    [A, A],
    [name("0"), A],
    [A, name("0")],
  ] as const) {
    expect(await deltas.between(base, target)).toBeUndefined();
  }
  expect(counts.packed).toBe(1);
  expect(read.filter((digest) => digest === NOISE)).toHaveLength(1);
  expect(warnings).toEqual([]);
});

test("[DW3] what is kept fits the memory for it; the pair that was asked for last stays", async () => {
  const size = (await setUp().deltas.between(A, B))!.length;
  // Of models larger than this there are none, so it is never below one model.
  const { deltas, counts } = setUp(800_000);
  const pairs = [A, B, C].flatMap((base) =>
    [A, B, C].filter((to) => to !== base).map((to) => [base, to] as const),
  );
  const fitting = Math.floor(800_000 / (size + 2000));
  expect(fitting).toBeGreaterThan(0);
  expect(fitting).toBeLessThan(pairs.length);
  for (const [base, target] of pairs) await deltas.between(base, target);
  expect(counts.packed).toBe(pairs.length);
  const [first, last] = [pairs[0]!, pairs.at(-1)!];
  await deltas.between(...last);
  expect(counts.packed).toBe(pairs.length);
  await deltas.between(...first);
  expect(counts.packed).toBe(pairs.length + 1);

  const none = setUp(799_999);
  expect(await none.deltas.between(A, B)).toBeUndefined();
  const off = setUp(0);
  expect(await off.deltas.between(A, B)).toBeUndefined();
  expect(off.read).toEqual([]);
});

test("[DW3] where many pairs wait already, the next gets the whole at once", async () => {
  const { deltas, frames, read } = setUp();
  const targets = Array.from({ length: 9 }, (_, i) => name(String(i)));
  for (const target of targets) frames.set(target, frames.get(B)!);
  const answers = targets.map((target) => deltas.between(A, target));
  expect(await answers[8]).toBeUndefined();
  expect(read).not.toContain(targets[8]);
  for (const answer of answers.slice(0, 8)) expect(await answer).toBeDefined();
  expect(await deltas.between(A, targets[8]!)).toBeDefined();
});

test("[DW3] a fault is told, costs its delta, and is not remembered", async () => {
  const { deltas, frames, warnings } = setUp();
  const whole = frames.get(B)!;
  frames.get = () => {
    throw new Error("the disk");
  };
  expect(await deltas.between(A, B)).toBeUndefined();
  expect(warnings).toMatchObject([{ error: { message: "the disk" } }]);
  frames.get = (digest) => (digest === B ? whole : Map.prototype.get.call(frames, digest)) as never;
  expect(await deltas.between(A, B)).toBeDefined();
});
