import type { ValueEncoding } from "@tributary/protocol";
import { decodePayload, encodePayload } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { encodedRows } from "./encoded-rows.ts";

/** Repeatable random bits. */
const bits = (target: Uint16Array): void => {
  let state = 7;
  for (let i = 0; i < target.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    target[i] = state >>> 16;
  }
};
const ENCODINGS: readonly ValueEncoding[] = ["float32", "bfloat16", "int8", "int4"];

describe.each(ENCODINGS)("updates as %s", (kind) => {
  test.each([1, 2, 5, 1023, 1024, 1025, 3001])(
    "[RA11] of %d numbers are read in any stretch as they are decoded whole",
    (parameterCount) => {
      const vectors = [1, 2, 3].map((k) =>
        Float32Array.from({ length: parameterCount }, (_, i) => k * Math.sin(i * k) * 2 ** (i % 9)),
      );
      // At a place in larger memory, as uploads have it.
      const payloads = vectors.map((vector) => {
        const payload = encodePayload({ kind }, vector, bits);
        const memory = new Uint8Array(payload.length + 16);
        memory.set(payload, 16);
        return memory.subarray(16);
      });
      const rows = encodedRows(payloads, { kind }, parameterCount);
      for (const [row, payload] of payloads.entries()) {
        const whole = decodePayload({ kind }, parameterCount, payload);
        for (const length of [1, 7, 32, 1024, 2048]) {
          for (let from = 0; from < parameterCount; from += Math.max(length, 101)) {
            const target = new Float32Array(Math.min(length, parameterCount - from));
            rows.read(row, from, target);
            expect(target).toEqual(whole.subarray(from, from + target.length));
          }
        }
      }
    },
  );
});

test("[RA9] a payload of another length, or an encoding that leaves parameters out, is refused", () => {
  expect(() => encodedRows([new Uint8Array(16)], { kind: "float32" }, 5)).toThrow(
    "16 bytes are not 5 numbers as float32",
  );
  const sparse = { kind: "topK", fraction: 0.1, values: "int8", feedback: true } as const;
  expect(() => encodedRows([], sparse, 5)).toThrow("dense updates, got topK");
});
