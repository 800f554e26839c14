import fc from "fast-check";
import { expect, test } from "vitest";

import { decodeRecord, encodeRecord } from "./record-json.ts";

test("[ST1] any record of numbers, texts, lists and fields is the same after writing and reading", () => {
  const record = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.double(),
      fc.constantFrom(NaN, Infinity, -Infinity, -0, 5e-324, Number.MAX_VALUE, 2 ** 53 - 1),
      fc.string({ unit: "binary" }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 5, noNullPrototype: true }),
    ),
  })).value;
  fc.assert(
    fc.property(record, (value) => {
      expect(decodeRecord(encodeRecord(value))).toStrictEqual(value);
    }),
    { numRuns: 300 },
  );
});

test("[ST1] a text that looks like the mark of a special number stays a text", () => {
  const record = { description: '{"$number":"NaN"}' };
  expect(decodeRecord(encodeRecord(record))).toStrictEqual(record);
});
