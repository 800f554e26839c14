/**
 * Fed-Heart-Disease (Ogier du Terrail et al. 2022, FLamby) from the four raw UCI files: 740 patients
 * of four hospitals, 13 features, label 1 for any degree of disease.
 */

import { TEST_PATIENTS } from "./split.ts";

export const CENTRES = ["cleveland", "hungarian", "switzerland", "va"] as const;
export type Centre = (typeof CENTRES)[number];

/** Chest pain and resting ECG are one-hot, their first category left out. */
export const FEATURES = [
  "age",
  "sex",
  "trestbps",
  "chol",
  "fbs",
  "thalach",
  "exang",
  "oldpeak",
  "cp_2",
  "cp_3",
  "cp_4",
  "restecg_1",
  "restecg_2",
] as const;

export interface Patient {
  /** In the order of {@link FEATURES}. */
  readonly features: readonly number[];
  readonly label: 0 | 1;
}

export interface Hospital {
  readonly centre: Centre;
  readonly train: readonly Patient[];
  readonly test: readonly Patient[];
}

/** Columns of the raw files that are used; three others are missing for most patients. */
const USED_COLUMNS = 10;
const RAW_COLUMNS = 14;

/**
 * The patients of one raw file without missing values, in the file's order.
 * @throws Error for a line that is not 14 comma-separated fields
 */
export function parsePatients(file: string): Patient[] {
  const patients: Patient[] = [];
  for (const line of file.split("\n").filter((text) => text.trim() !== "")) {
    const fields = line.trim().split(",");
    if (fields.length !== RAW_COLUMNS) {
      throw new Error(`a line has ${fields.length} fields, expected ${RAW_COLUMNS}`);
    }
    const used = fields.slice(0, USED_COLUMNS);
    if (used.includes("?")) continue;
    const values = used.map(Number);
    const severity = Number(fields[RAW_COLUMNS - 1]);
    if (![...values, severity].every(Number.isFinite)) {
      throw new Error("a field is neither a number nor a question mark");
    }
    const [age, sex, chestPain, pressure, cholesterol, sugar, ecg, rate, angina, depression] =
      values as [number, number, number, number, number, number, number, number, number, number];
    const is = (value: number, category: number) => (value === category ? 1 : 0);
    patients.push({
      features: [
        ...[age, sex, pressure, cholesterol, sugar, rate, angina, depression],
        ...[is(chestPain, 2), is(chestPain, 3), is(chestPain, 4)],
        ...[is(ecg, 1), is(ecg, 2)],
      ],
      label: severity === 0 ? 0 : 1,
    });
  }
  return patients;
}

/** The four hospitals with FLamby's split, features as they are. */
export function hospitalsFrom(files: ReadonlyMap<string, Uint8Array>): Hospital[] {
  return CENTRES.map((centre) => {
    const bytes = files.get(`processed.${centre}.data`);
    if (bytes === undefined) throw new Error(`the file of ${centre} is missing`);
    const patients = parsePatients(new TextDecoder().decode(bytes));
    const held = new Set(TEST_PATIENTS[centre]);
    return {
      centre,
      train: patients.filter((_, i) => !held.has(i)),
      test: patients.filter((_, i) => held.has(i)),
    };
  });
}

export interface Scaling {
  readonly mean: readonly number[];
  /** Sample standard deviation (divided by n - 1); a constant feature has 0. */
  readonly deviation: readonly number[];
}

export function scalingOf(patients: readonly Patient[]): Scaling {
  const mean = FEATURES.map(
    (_, j) => patients.reduce((sum, { features }) => sum + (features[j] ?? 0), 0) / patients.length,
  );
  const deviation = FEATURES.map((_, j) =>
    Math.sqrt(
      patients.reduce((sum, { features }) => sum + ((features[j] ?? 0) - (mean[j] ?? 0)) ** 2, 0) /
        (patients.length - 1),
    ),
  );
  return { mean, deviation };
}

/** (x - mean) / deviation; a feature that is constant in the training data becomes 0. */
export function scale(patients: readonly Patient[], { mean, deviation }: Scaling): Patient[] {
  return patients.map(({ features, label }) => ({
    label,
    features: features.map((value, j) => {
      const spread = deviation[j] ?? 0;
      return spread === 0 ? 0 : (value - (mean[j] ?? 0)) / spread;
    }),
  }));
}

/** Each hospital scaled by its own training patients, as it can do without telling anyone. */
export function scalePerCentre(hospitals: readonly Hospital[]): Hospital[] {
  return hospitals.map(({ centre, train, test }) => {
    const scaling = scalingOf(train);
    return { centre, train: scale(train, scaling), test: scale(test, scaling) };
  });
}
