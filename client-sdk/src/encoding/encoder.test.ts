import type { Assignment, Encoding, RoundId, TaskId } from "@tributary/protocol";
import { createLayout, decodeUpdate, isFederatedError, roundIdOf } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { createUpdateEncoder } from "./encoder.ts";
import type { FeedbackStore } from "./feedback-store.ts";
import { createMemoryFeedback } from "./feedback-store.ts";
import { fromBytes, toBytes } from "./held-feedback.ts";
import { encodingFault } from "./encoding-fault.ts";

const TASK = "digits" as TaskId;
const ORIGIN = "https://a.example";
const SIZE = 40;
const layout = await createLayout([{ name: "w", shape: [SIZE] }]);
const topK = { kind: "topK", fraction: 0.1, values: "float32", feedback: true } as const;

const assignmentOf = (round: number, encoding: Encoding, more: object = {}): Assignment =>
  ({
    roundId: roundIdOf(TASK, round),
    plan: { encoding, ...more },
    checkpoint: { modelVersion: round - 1 },
  }) as unknown as Assignment;

interface EncodeOptions {
  readonly encoding?: Encoding;
  readonly clientKey?: string;
  readonly more?: object;
  readonly signal?: AbortSignal;
}

function open(store: FeedbackStore = createMemoryFeedback()) {
  const faults: unknown[] = [];
  const encoder = createUpdateEncoder(store, { origin: ORIGIN, taskId: TASK }, (error) =>
    faults.push(error),
  );
  const encode = async (round: number, delta: Float32Array, options: EncodeOptions = {}) => {
    const {
      encoding = topK,
      clientKey = "me",
      more,
      signal = new AbortController().signal,
    } = options;
    const update = { delta, numExamples: 3, metrics: {} };
    const assignment = assignmentOf(round, encoding, more);
    const frame = await encoder.encode({ assignment, layout, update, clientKey, signal });
    return { frame, sent: decodeUpdate(layout, frame).delta };
  };
  return { encoder, encode, faults, store };
}

const roundId = (round: number): RoundId => roundIdOf(TASK, round);
const ramp = (factor: number) => new Float32Array(SIZE).map((_, i) => factor * (i + 1));
const zeros = () => new Float32Array(SIZE);
const add = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + b[i]!);

const whole = fc
  .array(fc.integer({ min: -1000, max: 1000 }), { minLength: SIZE, maxLength: SIZE })
  .map((numbers) => Float32Array.from(numbers));

test("[EC8] what is left out of updates that are counted goes with later ones, to the last number", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(whole, { minLength: 1, maxLength: 6 }),
      fc.constantFrom("topK" as const, "randomK" as const),
      async (deltas, kind) => {
        const { encoder, encode, faults } = open();
        let learned = zeros();
        let sent = zeros();
        let round = 0;
        for (const delta of deltas) {
          round += 1;
          learned = add(learned, delta);
          sent = add(sent, (await encode(round, delta, { encoding: { ...topK, kind } })).sent);
          await encoder.counted(roundId(round));
        }
        // Once nothing new is learned, all the rest is sent: four numbers each time, of randomK each stratum's in
        // as many rounds as chance wants. Whole numbers, so that sums are exact.
        for (let more = 0; more < (kind === "topK" ? SIZE / 4 : 300); more++) {
          round += 1;
          sent = add(sent, (await encode(round, zeros(), { encoding: { ...topK, kind } })).sent);
          await encoder.counted(roundId(round));
        }
        expect(sent.map((value) => value + 0)).toEqual(learned.map((value) => value + 0));
        expect(faults).toEqual([]);
      },
    ),
    { numRuns: 12 },
  );
});

test("[EC14] with feedback randomK is behind by 1 / fraction of a client's rounds; without, its mean is right at once", async () => {
  const [rounds, clients, fraction] = [13, 60, 0.1];
  const ones = zeros().fill(1);
  const shareSent = async (feedback: boolean) => {
    const encoding = { kind: "randomK", fraction, values: "float32", feedback } as const;
    let total = 0;
    for (let client = 1; client <= clients; client++) {
      const { encoder, encode } = open();
      for (let round = 1; round <= rounds; round++) {
        const more = { seed: 100 * client + round };
        const { sent } = await encode(round, ones, { encoding, more });
        await encoder.counted(roundId(round));
        total += sent.reduce((sum, value) => sum + value, 0);
      }
    }
    return total / (clients * rounds * SIZE);
  };
  expect(await shareSent(false)).toBeCloseTo(1, 6);
  // What still waits has not been drawn in the last j rounds, with chance 0.9^j: 6.7 of 13 rounds.
  const waiting = ((1 - fraction) * (1 - (1 - fraction) ** rounds)) / fraction;
  const share = await shareSent(true);
  expect(Math.abs(share - (1 - waiting / rounds))).toBeLessThan(0.03);
  expect(share).toBeLessThan(0.52);
});

test("[EC8] the error of rounding is remembered with the rest", async () => {
  const { encoder, encode } = open();
  const encoding = { ...topK, fraction: 1, values: "int4" } as const;
  let sent = zeros();
  for (let round = 1; round <= 400; round++) {
    sent = add(sent, (await encode(round, ramp(0.01), { encoding })).sent);
    await encoder.counted(roundId(round));
  }
  const learned = ramp(4);
  // What is missing is one round's rounding, however many there were: a scale of the last.
  const missing = learned.map((value, i) => Math.abs(value - sent[i]!));
  expect(Math.max(...missing)).toBeLessThan(0.2);
});

test("[EC8] feedback is taken over only when the update was counted", async () => {
  const { encoder, encode } = open();
  const first = await encode(1, ramp(1));
  expect(first.sent).toEqual(ramp(1).map((value) => (value > SIZE - 4 ? value : 0)));
  // Not counted: nothing is kept of it.
  expect((await encode(2, zeros())).sent).toEqual(zeros());
  // Another round's answer, which comes late, is not this one's.
  await encode(2, ramp(1));
  await encoder.counted(roundId(1));
  expect((await encode(3, zeros())).sent).toEqual(zeros());

  await encode(4, ramp(1));
  await encoder.counted(roundId(4));
  // Told twice, as a receipt and the end of its round tell it.
  await encoder.counted(roundId(4));
  expect((await encode(5, zeros())).sent[SIZE - 5]).toBe(SIZE - 4);
});

test("[EC8] a round that came to nothing gives back what was kept before it", async () => {
  const { encoder, encode } = open();
  await encode(1, ramp(1));
  await encoder.counted(roundId(1));
  const lost = await encode(2, zeros());
  await encoder.counted(roundId(2));
  await encoder.abandoned(roundId(2));
  expect((await encode(3, zeros())).sent).toEqual(lost.sent);
  // Another round's end changes nothing.
  await encoder.abandoned(roundId(2));
  expect((await encode(3, zeros())).sent).toEqual(lost.sent);
});

test("[EC9] it lasts over a restart, and belongs to its client, layout, encoding and line of models", async () => {
  const { store, encode, encoder } = open();
  await encode(5, ramp(1));
  await encoder.counted(roundId(5));
  const kept = (await store.get(ORIGIN, TASK))!;
  const left = async (round: number, options: EncodeOptions = {}) => {
    const other = open(createMemoryFeedback());
    await other.store.put(ORIGIN, TASK, kept.slice());
    const { sent } = await other.encode(round, zeros(), options);
    expect(other.faults).toEqual([]);
    return sent.some((value) => value !== 0);
  };
  expect(await left(6)).toBe(true);
  // The round was abandoned: the same version again.
  expect(await left(5)).toBe(true);
  expect(await left(6, { clientKey: "somebody else" })).toBe(false);
  expect(await left(6, { encoding: { ...topK, fraction: 0.2 } })).toBe(false);
  // A model's versions never go back: this is another model of the same name.
  expect(await left(2)).toBe(false);
  await encoder.forget();
  expect(await store.get(ORIGIN, TASK)).toBeUndefined();
});

test("[EC9] feedback that is damaged counts as none, a store that fails is told of, and both cost no update", async () => {
  const { store, encode, encoder, faults } = open();
  await encode(1, ramp(1));
  await encoder.counted(roundId(1));
  const kept = (await store.get(ORIGIN, TASK))!;
  for (let at = 0; at < kept.length; at += 7) {
    const damaged = kept.slice();
    damaged[at]! ^= 0x10;
    await store.put(ORIGIN, TASK, damaged);
    const { sent } = await encode(2, ramp(1));
    // Either it is found, or what it says is the same: of a version before this one.
    expect([SIZE, SIZE - 4]).toContain(sent.findLastIndex((value) => value !== 0) + 1);
    const held = await fromBytes(damaged, 4 * SIZE);
    if (at > 200) expect(held).toBeUndefined();
  }
  for (const length of [0, 3, 4, 20, kept.length - 1, kept.length - 4]) {
    expect(await fromBytes(kept.subarray(0, length), 4 * SIZE)).toBeUndefined();
  }
  expect(await fromBytes(kept, 4 * SIZE + 4)).toBeUndefined();
  const held = (await fromBytes(kept, 4 * SIZE))!;
  expect(await toBytes(held)).toEqual(kept);
  expect(faults).toEqual([]);

  const full = new Error("the disk is full");
  const broken = open({
    get: () => Promise.reject(full),
    put: () => Promise.reject(full),
    delete: () => Promise.reject(full),
  });
  expect((await broken.encode(1, ramp(1))).sent[SIZE - 1]).toBe(SIZE);
  await broken.encoder.counted(roundId(1));
  await broken.encoder.forget();
  expect(broken.faults).toEqual([full, full, full, full]);
});

test("[EC10] a plan's seed makes an encoding repeatable, and clients round apart; without, nobody can repeat it", async () => {
  const encoding = { kind: "int4" } as const;
  const delta = new Float32Array(SIZE).map((_, i) => Math.sin(i));
  const frame = async (more: object, vector = delta) =>
    Buffer.from((await open().encode(1, vector, { encoding, more })).frame).toString("hex");
  expect(await frame({ seed: 7 })).toBe(await frame({ seed: 7 }));
  expect(await frame({ seed: 8 })).not.toBe(await frame({ seed: 7 }));
  expect(await frame({})).not.toBe(await frame({}));
  // Two clients whose deltas differ in one bit throw other coins, and not for that one number alone.
  const almost = delta.slice();
  new Uint32Array(almost.buffer)[3]! ^= 1;
  const [one, other] = [await frame({ seed: 7 }), await frame({ seed: 7 }, almost)];
  const differing = Array.from(one).filter((digit, i) => digit !== other[i]).length;
  expect(differing).toBeGreaterThan(3);
});

test("[EC10] work that is called off stops", async () => {
  const signal = AbortSignal.abort();
  const code = await open()
    .encode(1, ramp(1), { signal })
    .then(
      () => "none",
      (error: unknown) => (isFederatedError(error) ? error.code : error),
    );
  expect(code).toBe("ABORTED");
});

test("[EC7] a client follows no encoding that it does not know, nor one that a promise stands against", () => {
  const fault = (encoding: unknown, more: object = {}) =>
    encodingFault({ encoding, ...more } as never)?.code;
  for (const kind of ["float32", "bfloat16", "int8", "int4"]) {
    expect(fault({ kind })).toBeUndefined();
  }
  expect(fault(topK)).toBeUndefined();
  expect(fault({ ...topK, kind: "randomK" })).toBeUndefined();
  const unknown = [
    ...[{ kind: "fp8" }, { kind: "toString" }, {}, { ...topK, values: "fp8" }],
    ...[
      { ...topK, fraction: 2 },
      { ...topK, fraction: undefined },
      { ...topK, feedback: 1 },
    ],
  ];
  for (const encoding of unknown) expect(fault(encoding)).toBe("ENCODING_UNSUPPORTED");
  const localNoise = { noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 1 };
  expect(fault({ kind: "float32" }, { localNoise })).toBeUndefined();
  expect(fault({ kind: "int8" }, { localNoise })).toBe("ENCODING_UNSUPPORTED");
  const participation = { minSeparation: 2, maxParticipations: 3 };
  expect(fault({ kind: "int8" }, { participation })).toBeUndefined();
  expect(fault(topK, { participation })).toBe("ENCODING_UNSUPPORTED");
});
