import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Encoding, Update } from "./index.ts";
import {
  assertEncoding,
  assertLayout,
  blankCheckpoint,
  createLayout,
  decodeCheckpoint,
  decodeFrameHeader,
  decodeMetrics,
  decodePayload,
  decodeUpdate,
  encodeCheckpoint,
  encodePayload,
  encodeUpdate,
  float32FromBytes,
  FRAME_HEADER_BYTES,
  frameUpdate,
  isFederatedError,
  MAX_METRICS_BYTES,
  maxFrameBytes,
} from "./index.ts";

const layout = await createLayout([
  { name: "kernel", shape: [3, 2] },
  { name: "bias", shape: [2] },
]);
const delta = new Float32Array([1, -2, 0.5, 0, -0, 1e-45, 3e38, 7]);
const evaluation = {
  numExamples: 5,
  lossSum: 2.5,
  truePositives: [2, 1],
  falsePositives: [1, 1],
  falseNegatives: [1, 1],
};
const update: Update = { delta, numExamples: 12, metrics: { trainLoss: 0.5, evaluation } };

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
/** The code that `run` throws; anything else fails the test. */
function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFederatedError(error)) return error.code;
    throw error;
  }
  return "none";
}

const anyFloat32 = fc.float32Array({ minLength: 8, maxLength: 8 });
const anyUpdate = fc.record({
  delta: anyFloat32,
  numExamples: fc.nat({ max: 0xffffffff }),
  metrics: fc.constantFrom({}, { trainLoss: 1.5 }, { trainLoss: -0.25, evaluation }),
});

describe("frames", () => {
  it("[PR5] a checkpoint whose weights are written in place has the bytes of one that is made of them", () => {
    const blank = blankCheckpoint(layout, 7);
    expect(hex(blank!.frame)).toBe(
      hex(encodeCheckpoint(layout, { modelVersion: 7, weights: new Float32Array(8) })),
    );
    blank!.weights.set(delta);
    expect(hex(blank!.frame)).toBe(
      hex(encodeCheckpoint(layout, { modelVersion: 7, weights: delta })),
    );
  });

  it("[PR5] an update comes out bit for bit as it went in", () => {
    fc.assert(
      fc.property(anyUpdate, (given) => {
        const frame = encodeUpdate(layout, given);
        const decoded = decodeUpdate(layout, frame);
        expect(decoded).toEqual(given);
        expect(hex(new Uint8Array(decoded.delta.buffer))).toBe(
          hex(new Uint8Array(given.delta.buffer, given.delta.byteOffset, given.delta.byteLength)),
        );
        expect(frame.length).toBeLessThanOrEqual(maxFrameBytes(layout));
      }),
    );
  });

  it("[PR5] a checkpoint comes out bit for bit as it went in, and the same input is the same bytes", () => {
    fc.assert(
      fc.property(anyFloat32, fc.nat({ max: 0xffffffff }), (weights, modelVersion) => {
        const frame = encodeCheckpoint(layout, { modelVersion, weights });
        expect(decodeCheckpoint(layout, frame)).toEqual({ modelVersion, weights });
        expect(hex(encodeCheckpoint(layout, { modelVersion, weights }))).toBe(hex(frame));
      }),
    );
  });

  it("[PR6] have exactly the bytes that the format says", async () => {
    const small = await createLayout([{ name: "w", shape: [2] }]);
    const weights = new Float32Array([1, -2]);
    expect(hex(encodeCheckpoint(small, { modelVersion: 0x0102, weights }))).toBe(
      "54524350" + // TRCP
        "01" + // version
        "01" + // float32
        "0000" +
        "02000000" + // two parameters
        "02010000" + // model version, little-endian
        small.digest +
        "00000000" +
        "08000000" + // eight bytes of payload
        "0000000000000000" +
        "0000803f" + // 1
        "000000c0", // -2
    );
    const frame = encodeUpdate(small, {
      delta: weights,
      numExamples: 3,
      metrics: { trainLoss: 1 },
    });
    expect(hex(frame)).toBe(
      "54525550" +
        "01" +
        "01" +
        "0000" +
        "02000000" +
        "03000000" + // three examples
        small.digest +
        "10000000" + // 15 characters of JSON and one space
        "08000000" +
        "0000000000000000" +
        hex(new TextEncoder().encode('{"trainLoss":1} ')) +
        "0000803f" +
        "000000c0",
    );
  });

  it("[PR6] are read from any place in memory, and own what they give", () => {
    const frame = encodeUpdate(layout, update);
    const shifted = new Uint8Array(frame.length + 3);
    shifted.set(frame, 3); // an odd place: no aligned view of it is possible
    const decoded = decodeUpdate(layout, shifted.subarray(3));
    shifted.fill(0);
    expect(decoded.delta).toEqual(delta);
  });

  it("[PR7] any changed byte of a header is refused, or changes a count and nothing else", () => {
    const frame = encodeUpdate(layout, update);
    fc.assert(
      fc.property(
        fc.nat({ max: FRAME_HEADER_BYTES - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const changed = Uint8Array.from(frame);
          changed[at]! ^= change;
          if (at >= 12 && at < 16) {
            expect(decodeUpdate(layout, changed).delta).toEqual(delta);
          } else {
            expect(["MALFORMED_MESSAGE", "UPDATE_TOO_LARGE", "UPDATE_LAYOUT_MISMATCH"]).toContain(
              codeOf(() => decodeUpdate(layout, changed)),
            );
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("[PR7] random bytes and frames cut anywhere are refused with a code", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(() => decodeUpdate(layout, bytes))).not.toBe("none");
        expect(codeOf(() => decodeCheckpoint(layout, bytes))).not.toBe("none");
      }),
    );
    const frame = encodeUpdate(layout, update);
    for (let length = 0; length < frame.length; length++) {
      expect(codeOf(() => decodeUpdate(layout, frame.subarray(0, length)))).toBe(
        "MALFORMED_MESSAGE",
      );
    }
    const longer = Uint8Array.from([...frame, 0]);
    expect(codeOf(() => decodeUpdate(layout, longer))).toBe("MALFORMED_MESSAGE");
  });

  it("[PR7] a checkpoint is no update, and neither fits another layout", async () => {
    const checkpoint = encodeCheckpoint(layout, { modelVersion: 1, weights: delta });
    expect(codeOf(() => decodeUpdate(layout, checkpoint))).toBe("MALFORMED_MESSAGE");
    expect(codeOf(() => decodeCheckpoint(layout, encodeUpdate(layout, update)))).toBe(
      "MALFORMED_MESSAGE",
    );
    const sameSize = await createLayout([{ name: "other", shape: [8] }]);
    const otherSize = await createLayout([{ name: "other", shape: [9] }]);
    for (const foreign of [sameSize, otherSize]) {
      expect(codeOf(() => decodeCheckpoint(foreign, checkpoint))).toBe("UPDATE_LAYOUT_MISMATCH");
      const header = decodeFrameHeader(checkpoint, "checkpoint");
      expect(codeOf(() => assertLayout(header, foreign))).toBe("UPDATE_LAYOUT_MISMATCH");
    }
  });

  it("[PR7] what cannot be written is refused before it is sent", () => {
    const zero = new Float32Array(8);
    for (const numExamples of [-1, 1.5, 2 ** 32, Number.NaN]) {
      expect(codeOf(() => encodeUpdate(layout, { delta: zero, numExamples, metrics: {} }))).toBe(
        "MALFORMED_MESSAGE",
      );
    }
    const short = { delta: new Float32Array(7), numExamples: 1, metrics: {} };
    expect(codeOf(() => encodeUpdate(layout, short))).toBe("UPDATE_LAYOUT_MISMATCH");
    const many = Array<number>(MAX_METRICS_BYTES).fill(1);
    const wide = { ...evaluation, truePositives: many, falsePositives: many, falseNegatives: many };
    expect(codeOf(() => encodeUpdate(layout, { ...update, metrics: { evaluation: wide } }))).toBe(
      "UPDATE_TOO_LARGE",
    );
  });

  it("[EC6] an update of any encoding is read as what it means, and only where the plan asks for it", () => {
    const plans: Encoding[] = [
      { kind: "float32" },
      { kind: "bfloat16" },
      { kind: "int8" },
      { kind: "int4" },
      { kind: "topK", fraction: 0.5, values: "float32", feedback: true },
      { kind: "topK", fraction: 0.5, values: "int8", feedback: true },
      { kind: "randomK", fraction: 0.5, values: "int8", feedback: false },
    ];
    const sent = { numExamples: 12, metrics: { trainLoss: 0.5 } };
    const numbers = delta.map((value) => (Math.abs(value) < 1e30 ? value : 0));
    for (const encoding of plans) {
      const payload = encodePayload(encoding, numbers, (bits) => bits.fill(1));
      const frame = frameUpdate(layout, { format: encoding, payload, ...sent });
      expect(frame.length).toBeLessThanOrEqual(maxFrameBytes(layout, encoding));
      const header = decodeFrameHeader(frame, "update");
      for (const plan of plans) {
        const wanted = plan === encoding ? "none" : "UPDATE_ENCODING_MISMATCH";
        expect(codeOf(() => assertEncoding(header, plan))).toBe(wanted);
      }
      const meant = decodePayload(encoding, numbers.length, payload);
      expect(decodeUpdate(layout, frame)).toEqual({ delta: meant, ...sent });
    }
    const short = { format: { kind: "int8" }, payload: new Uint8Array(8), ...sent } as const;
    expect(codeOf(() => frameUpdate(layout, short))).toBe("UPDATE_LAYOUT_MISMATCH");
  });

  it("[PR7] a checkpoint of another encoding is refused", () => {
    const frame = encodeCheckpoint(layout, { modelVersion: 1, weights: delta });
    frame[5] = 2;
    expect(codeOf(() => decodeFrameHeader(frame, "checkpoint"))).toBe("MALFORMED_MESSAGE");
  });

  it("[PR7] float32FromBytes gives memory of its own", () => {
    const bytes = new Uint8Array([0, 0, 128, 63]);
    const vector = float32FromBytes(bytes);
    bytes.fill(255);
    expect([...vector]).toEqual([1]);
  });
});

describe("metrics of an update", () => {
  const decode = (value: unknown) => decodeMetrics(new TextEncoder().encode(JSON.stringify(value)));

  it("[PR8] are taken when every field is known and sound", () => {
    expect(decode({})).toEqual({});
    expect(decode({ trainLoss: 2 })).toEqual({ trainLoss: 2 });
    expect(decode({ evaluation })).toEqual({ evaluation });
    const noClasses = {
      ...evaluation,
      truePositives: [],
      falsePositives: [],
      falseNegatives: [],
    };
    expect(decode({ evaluation: noClasses })).toEqual({ evaluation: noClasses });
  });

  it.each([
    [null],
    [[]],
    ["text"],
    [{ accuracy: 1 }],
    [{ trainLoss: "0.5" }],
    [{ trainLoss: null }],
    [{ evaluation: [] }],
    [{ evaluation: { ...evaluation, extra: 1 } }],
    [{ evaluation: { ...evaluation, numExamples: 0 } }],
    [{ evaluation: { ...evaluation, numExamples: 1.5 } }],
    [{ evaluation: { ...evaluation, lossSum: null } }],
    [{ evaluation: { ...evaluation, truePositives: [2, -1] } }],
    [{ evaluation: { ...evaluation, truePositives: [2, 0.5] } }],
    [{ evaluation: { ...evaluation, truePositives: "2,1" } }],
    [{ evaluation: { ...evaluation, falsePositives: [1] } }],
    [{ evaluation: { ...evaluation, truePositives: [3, 1] } }],
    [{ evaluation: { ...evaluation, falsePositives: [100, 1] } }],
  ])("[PR8] are refused when they cannot be: %j", (value) => {
    expect(codeOf(() => decode(value))).toBe("MALFORMED_MESSAGE");
  });

  it("[PR8] that are no JSON or no UTF-8 are malformed", () => {
    for (const bytes of [[], [0xff, 0xfe], [0x7b], [0x31, 0x65, 0x39, 0x39, 0x39]]) {
      expect(codeOf(() => decodeMetrics(Uint8Array.from(bytes)))).toBe("MALFORMED_MESSAGE");
    }
    const infinite = new TextEncoder().encode('{"trainLoss":1e999}');
    expect(codeOf(() => decodeMetrics(infinite))).toBe("MALFORMED_MESSAGE");
  });
});
