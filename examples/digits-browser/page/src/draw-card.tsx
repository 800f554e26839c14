/** Where a digit is drawn, read, and said to be one. */

import { useEffect, useMemo, useState } from "react";

import type { Stroke } from "../../src/digit-image.ts";
import { prepareDigit } from "../../src/digit-image.ts";
import { DrawingPad } from "./drawing-pad.tsx";
import type { Drawings } from "./drawings.ts";
import type { DigitsModel, Prediction } from "./predictions.ts";
import { percent, usePredictions } from "./predictions.ts";

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
/** A person who draws is not interrupted by each guess. */
const QUIET_MS = 700;

export interface DrawCardProps {
  readonly model: DigitsModel;
  readonly drawings: Drawings;
  readonly onError: (error: unknown) => void;
}

export function DrawCard({ model, drawings, onError }: DrawCardProps) {
  const [strokes, setStrokes] = useState<readonly Stroke[]>([]);
  const [kept, setKept] = useState("");
  const pixels = useMemo(() => prepareDigit(strokes), [strokes]);
  const [prediction] = usePredictions(model, pixels) ?? [];

  const keep = (label: number) => {
    if (pixels === undefined) return;
    drawings.add({ label, pixels }).then(() => {
      setStrokes([]);
      setKept(`Kept as a ${label}.`);
    }, onError);
  };
  const empty = strokes.length === 0;

  return (
    <section className="card draw" aria-labelledby="draw-title">
      <h2 id="draw-title">Draw a digit</h2>
      <div className="draw-parts">
        <DrawingPad
          strokes={strokes}
          onChange={(change) => {
            setKept("");
            setStrokes(change);
          }}
          onDigit={keep}
        />
        <div className="draw-side">
          <Reading model={model} prediction={prediction} kept={kept} />
          <div className="buttons">
            <button type="button" disabled={empty} onClick={() => setStrokes(strokes.slice(0, -1))}>
              Undo
            </button>
            <button type="button" disabled={empty} onClick={() => setStrokes([])}>
              Clear
            </button>
          </div>
        </div>
      </div>
      <fieldset className="labels">
        <legend>Which digit is it? Your answer keeps it, on this device.</legend>
        {DIGITS.map((digit) => (
          <button
            key={digit}
            type="button"
            disabled={empty}
            aria-label={`It is a ${digit}`}
            className={prediction?.digit === digit ? "guessed" : ""}
            onClick={() => keep(digit)}
          >
            {digit}
          </button>
        ))}
      </fieldset>
      <p className="keys" id="pad-keys">
        By keyboard, with the pad in focus: <kbd>arrows</kbd> move, <kbd>Space</kbd> paints,{" "}
        <kbd>Shift</kbd> with arrows draws a line, <kbd>Backspace</kbd> takes back,{" "}
        <kbd>Delete</kbd> clears, and a digit key says which it is.
      </p>
    </section>
  );
}

interface ReadingProps {
  readonly model: DigitsModel;
  readonly prediction: Prediction | undefined;
  readonly kept: string;
}

function Reading({ model, prediction, kept }: ReadingProps) {
  const sure = prediction?.probabilities[prediction.digit] ?? 0;
  const sentence = prediction === undefined ? kept : guess(prediction.digit, sure);
  const told = useQuietly(sentence);
  return (
    <div className="reading">
      <p className="reading-digit" aria-hidden="true">
        {prediction?.digit ?? "?"}
      </p>
      <p className="reading-words" aria-hidden="true">
        {sentence !== "" ? sentence : idleWords(model)}
      </p>
      <p className="unseen" role="status">
        {told}
      </p>
      <ol className="bars" aria-hidden="true">
        {DIGITS.map((digit) => {
          const share = prediction?.probabilities[digit] ?? 0;
          return (
            <li key={digit} className={prediction?.digit === digit ? "most" : ""}>
              <span className="bar" style={{ blockSize: `${4 + 96 * share}%` }} />
              <span>{digit}</span>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

const guess = (digit: number, sure: number) =>
  sure > 0.5
    ? `Looks like a ${digit}, ${percent(sure)} sure.`
    : `Hard to read. Perhaps a ${digit}, ${percent(sure)} sure.`;

function idleWords({ version, error }: DigitsModel): string {
  if (version !== undefined) return "The model on this device reads while you draw.";
  return error === undefined ? "Fetching the model …" : `No model yet: ${error.message}`;
}

/** The text, once it has stood for a moment. */
function useQuietly(text: string): string {
  const [told, setTold] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setTold(text), QUIET_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return told;
}
