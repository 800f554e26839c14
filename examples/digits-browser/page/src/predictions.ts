/** What the model on this device says: of the drawing under the pen, and of the kept ones. */

import type { ModelView } from "@tributary/client-sdk/react";
import type { NestedNumbers, PredictorInput } from "@tributary/client-sdk/tfjs";
import { useEffect, useState } from "react";

import { IMAGE_PIXELS } from "../../src/model.ts";
import type { Drawing } from "./drawings.ts";

export type DigitsModel = ModelView<PredictorInput, NestedNumbers[]>;

export interface Prediction {
  readonly digit: number;
  /** Of each digit, adding up to 1. */
  readonly probabilities: readonly number[];
}

/** @param pixels images one after the other @returns undefined until it is known, and for none */
export function usePredictions(
  { predict, version }: DigitsModel,
  pixels: Uint8Array | undefined,
): readonly Prediction[] | undefined {
  const [known, setKnown] = useState<{ of: Uint8Array; predictions: readonly Prediction[] }>();

  useEffect(() => {
    if (pixels === undefined || version === undefined) return;
    let wanted = true;
    predict(pixels).then(
      (rows) => {
        if (wanted) setKnown({ of: pixels, predictions: rows.map(predictionOf) });
      },
      // The model itself is told of what went wrong.
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [predict, version, pixels]);

  // While a line grows, what was said a moment ago stands until the next answer.
  return pixels === undefined || version === undefined ? undefined : known?.predictions;
}

/** All drawings in one array, the same until one comes or goes. */
export function pixelsOf(drawings: readonly Drawing[]): Uint8Array | undefined {
  if (drawings.length === 0) return undefined;
  const all = new Uint8Array(drawings.length * IMAGE_PIXELS);
  drawings.forEach(({ pixels }, i) => all.set(pixels, i * IMAGE_PIXELS));
  return all;
}

function predictionOf(row: NestedNumbers): Prediction {
  const probabilities = row as readonly number[];
  const digit = probabilities.indexOf(Math.max(...probabilities));
  return { digit, probabilities };
}

/** With a space that no line ends at. */
export const percent = (share: number, digits = 0): string =>
  `${(100 * share).toFixed(digits)}\u00a0%`;
