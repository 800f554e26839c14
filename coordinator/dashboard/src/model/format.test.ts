import fc from "fast-check";
import { expect, test } from "vitest";

import {
  bytesText,
  countText,
  decimalText,
  deltaText,
  epsilonText,
  leftText,
  spentText,
  NOTHING,
  percentText,
  settingSpanText,
  settingText,
  spanText,
  wholeSpanText,
} from "./format.ts";

const thin = (text: string) => text.replaceAll(" ", "\u202f");

test("[DB11] numbers have their units, thousands a gap, and what is not there a dash", () => {
  expect([countText(9999), countText(12_345), countText(-1_234_567)]).toEqual(
    ["9999", "12 345", "−1 234 567"].map(thin),
  );
  expect([decimalText(0.43127), decimalText(12.5), decimalText(-3)]).toEqual([
    ...["0.4313", "12.50", "−3.000"],
  ]);
  expect([decimalText(123_456), decimalText(1.23e-7), decimalText(0)]).toEqual([
    ...["123456", "1.23e−7", "0.000"],
  ]);
  expect([percentText(0.97314), percentText(1, 0)]).toEqual(["97.31 %", "100 %"].map(thin));
  expect([bytesText(999), bytesText(1000), bytesText(999_499), bytesText(999_500)]).toEqual(
    ["999 B", "1.00 kB", "999 kB", "1.00 MB"].map(thin),
  );
  for (const text of [countText, decimalText, percentText, epsilonText, bytesText, spanText]) {
    expect(text(NaN)).toBe(NOTHING);
  }
});

test("[DB11] spans: fine where they were measured, whole seconds where they count down", () => {
  expect([spanText(840), spanText(999.6), spanText(12_440), spanText(200_000)]).toEqual([
    ...["840\u202fms", "1.0\u202fs", "12.4\u202fs", "3\u202fmin 20\u202fs"],
  ]);
  expect([wholeSpanText(-5), wholeSpanText(9400), wholeSpanText(65_000)]).toEqual([
    ...["0\u202fs", "9\u202fs", "1\u202fmin 05\u202fs"],
  ]);
  expect([settingSpanText(60_000), settingSpanText(12_000), settingSpanText(90_000)]).toEqual([
    ...["1\u202fmin", "12\u202fs", "1\u202fmin 30\u202fs"],
  ]);
  expect([settingSpanText(7_200_000), settingText(0.05), settingText(1)]).toEqual([
    ...["2\u202fh", "0.05", "1"],
  ]);
  expect([wholeSpanText(3_723_000), wholeSpanText(3 * 86_400_000)]).toEqual([
    ...["1\u202fh 02\u202fmin", "3\u202fd 0\u202fh"],
  ]);
});

test("[DB11] neither an epsilon nor a delta is ever shown smaller than it is, and what is left of a budget never larger", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e4, noNaN: true }), (epsilon) => {
      expect(Number(epsilonText(epsilon))).toBeGreaterThanOrEqual(epsilon);
      expect(Number(leftText(epsilon))).toBeLessThanOrEqual(epsilon);
      const share = Math.min(1, epsilon);
      expect(Number.parseFloat(spentText(share))).toBeGreaterThanOrEqual(100 * share - 1e-9);
    }),
  );
  fc.assert(
    fc.property(fc.double({ min: 1e-12, max: 0.5, noNaN: true }), (delta) => {
      expect(Number(deltaText(delta).replace("−", "-"))).toBeGreaterThanOrEqual(delta);
    }),
  );
  expect([leftText(12.3459), leftText(123.456), leftText(0.0004), leftText(-1)]).toEqual([
    ...["12.34", "123.4", "0.0004", "0"],
  ]);
  expect([deltaText(1.4286e-5), spentText(0.2994), spentText(0)]).toEqual([
    ...["1.43e−5", "30.0\u202f%", "0.0\u202f%"],
  ]);
});
