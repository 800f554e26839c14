import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import {
  CENTRES,
  FEATURES,
  hospitalsFrom,
  parsePatients,
  scale,
  scalingOf,
} from "./heart-disease.ts";
import { loadDataSet } from "./loader.ts";
import { FED_HEART_DISEASE } from "./registry.ts";
import { TEST_PATIENTS } from "./split.ts";

const LINE = "63.0,1.0,3.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,2";

test("[EX6] a patient has 13 features, with the first category of each one-hot left out", () => {
  expect(parsePatients(`${LINE}\n`)).toEqual([
    { features: [63, 1, 145, 233, 1, 150, 0, 2.3, 0, 1, 0, 0, 1], label: 1 },
  ]);
  expect(FEATURES.length).toBe(13);
  const healthy = LINE.replace(/,2$/, ",0").replace(",3.0,145", ",1.0,145");
  expect(parsePatients(healthy)[0]).toMatchObject({ label: 0 });
  expect(parsePatients(healthy)[0]?.features.slice(8, 11)).toEqual([0, 0, 0]);
});

test("[EX6] a missing value drops the patient only in a column that is used", () => {
  expect(parsePatients(LINE.replace("233.0", "?"))).toEqual([]);
  expect(parsePatients(LINE.replace(",6.0,2", ",?,2"))).toHaveLength(1);
  expect(() => parsePatients("1,2,3")).toThrow("3 fields, expected 14");
  expect(() => parsePatients(LINE.replace("233.0", "abc"))).toThrow("neither a number");
});

test("[EX6] FLamby's sizes of the test sets", () => {
  expect(CENTRES.map((centre) => TEST_PATIENTS[centre].length)).toEqual([104, 89, 16, 45]);
});

test("[EX7] features are scaled by training mean and sample deviation; a constant becomes 0", () => {
  const patients = [1, 2, 3, 6].map((age) => ({
    features: [age, ...Array<number>(12).fill(5)],
    label: 0 as const,
  }));
  const scaling = scalingOf(patients);
  expect(scaling.mean[0]).toBe(3);
  expect(scaling.deviation[0]).toBeCloseTo(Math.sqrt(14 / 3), 12);
  const [first] = scale(patients, scaling);
  expect(first?.features[0]).toBeCloseTo(-2 / Math.sqrt(14 / 3), 12);
  expect(first?.features.slice(1)).toEqual(Array<number>(12).fill(0));
});

const dataDirectory = process.env.TRIBUTARY_DATA_DIR;
const reference = join(dataDirectory ?? "", FED_HEART_DISEASE.id, "fed-heart-disease.csv");
const available = dataDirectory !== undefined && existsSync(reference);
if (!available) {
  console.warn(
    `SKIPPED [EX6] against the reference table: set TRIBUTARY_DATA_DIR to have it checked`,
  );
}

test.skipIf(!available)(
  "[EX6] the rebuilt table equals the reference: 740 patients, features, labels and split",
  async () => {
    const hospitals = hospitalsFrom(await loadDataSet(FED_HEART_DISEASE));
    const [header, ...lines] = readFileSync(reference, "utf8").trim().split("\n");
    expect(header).toBe(["centre", "split", ...FEATURES, "label"].join(","));
    expect(lines).toHaveLength(740);
    for (const { centre, train, test: held } of hospitals) {
      for (const [split, patients] of [
        ["train", train],
        ["test", held],
      ] as const) {
        const expected = lines
          .map((line) => line.split(","))
          .filter((fields) => fields[0] === centre && fields[1] === split)
          .map((fields) => fields.slice(2).map(Number));
        expect(patients.map(({ features, label }) => [...features, label])).toEqual(expected);
      }
    }
  },
);
