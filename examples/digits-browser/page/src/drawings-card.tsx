/** The drawings that are kept, what the model makes of them, and a way to be rid of each. */

import { useEffect, useMemo, useRef } from "react";

import { IMAGE_SIDE } from "../../src/model.ts";
import type { Drawing, Drawings } from "./drawings.ts";
import { useDrawings } from "./drawings.ts";
import type { DigitsModel, Prediction } from "./predictions.ts";
import { pixelsOf, usePredictions } from "./predictions.ts";

export interface DrawingsCardProps {
  readonly model: DigitsModel;
  readonly drawings: Drawings;
  readonly onError: (error: unknown) => void;
}

export function DrawingsCard({ model, drawings, onError }: DrawingsCardProps) {
  const all = useDrawings(drawings);
  const pixels = useMemo(() => pixelsOf(all), [all]);
  const predictions = usePredictions(model, pixels);
  const read = all.filter(({ label }, i) => predictions?.[i]?.digit === label).length;

  return (
    <section className="card" aria-labelledby="drawings-title">
      <h2 id="drawings-title">Your drawings</h2>
      {all.length === 0 ? (
        <p className="quiet">
          None yet. They are kept in this browser until you delete them, and never sent.
        </p>
      ) : (
        <>
          <p>
            {predictions?.length === all.length && (
              <>
                The model reads{" "}
                <strong>
                  {read} of {all.length}
                </strong>{" "}
                right.{" "}
              </>
            )}
            Below, as it sees them.
          </p>
          <ul className="drawings">
            {all.map((drawing, i) => (
              <Kept
                key={drawing.id}
                drawing={drawing}
                prediction={predictions?.[i]}
                onDelete={() => void drawings.remove(drawing.id).catch(onError)}
              />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

interface KeptProps {
  readonly drawing: Drawing;
  readonly prediction: Prediction | undefined;
  readonly onDelete: () => void;
}

function Kept({ drawing, prediction, onDelete }: KeptProps) {
  const { label, pixels } = drawing;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context === null || context === undefined) return;
    const image = context.createImageData(IMAGE_SIDE, IMAGE_SIDE);
    pixels.forEach((ink, i) => image.data.set([255, 250, 240, ink], 4 * i));
    context.putImageData(image, 0, 0);
  }, [pixels]);
  const right = prediction?.digit === label;
  const verdict =
    prediction === undefined ? "" : right ? ", read right" : `, read as ${prediction.digit}`;
  return (
    <li>
      <canvas
        ref={canvas}
        width={IMAGE_SIDE}
        height={IMAGE_SIDE}
        role="img"
        aria-label={`A ${label}${verdict}`}
      />
      <span className={right ? "verdict right" : "verdict"} aria-hidden="true">
        {label}
        {prediction !== undefined && (right ? " ✓" : ` ≠ ${prediction.digit}`)}
      </span>
      <button
        type="button"
        className="delete"
        aria-label={`Delete this ${label}`}
        onClick={onDelete}
      >
        <span aria-hidden="true">×</span>
      </button>
    </li>
  );
}
