/** Fed-Heart-Disease: mean accuracy over hospitals beside the published figures. */

import {
  compareStrategies,
  FED_HEART_DISEASE,
  hospitalsFrom,
  loadDataSet,
  SEEDS,
} from "@tributary/example-hospitals";
import type { Row } from "@tributary/example-hospitals";

import { HEART_CASE, HEART_TOLERANCE } from "./cases.ts";

export interface HeartResult {
  readonly case: typeof HEART_CASE;
  readonly seeds: readonly number[];
  readonly rows: readonly (Row & { readonly difference?: number })[];
  /** Is every published figure within the tolerance? */
  readonly reached: boolean;
  readonly seconds: number;
}

/** @throws DataMissingError when the data is nowhere to be had */
export async function runHeartCase(): Promise<HeartResult> {
  const hospitals = hospitalsFrom(await loadDataSet(FED_HEART_DISEASE));
  const startedAt = performance.now();
  const rows = (await compareStrategies(hospitals, { seeds: SEEDS })).map((row) =>
    row.published === undefined ? row : { ...row, difference: row.mean - row.published },
  );
  return {
    case: HEART_CASE,
    seeds: SEEDS,
    rows,
    reached: rows.every(
      (row) => !("difference" in row) || Math.abs(row.difference) <= HEART_TOLERANCE,
    ),
    seconds: (performance.now() - startedAt) / 1000,
  };
}
