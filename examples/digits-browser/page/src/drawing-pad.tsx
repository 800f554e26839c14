/** Paper to draw a digit on: by pen, finger, mouse or keys. */

import type { KeyboardEvent, PointerEvent } from "react";
import { useRef, useState } from "react";

import type { Point, Stroke } from "../../src/digit-image.ts";

export interface DrawingPadProps {
  readonly strokes: readonly Stroke[];
  /** By a function: the pen moves more often than the page is drawn anew. */
  readonly onChange: (change: (before: readonly Stroke[]) => readonly Stroke[]) => void;
  /** A digit key was pressed: the drawing is said to be one. */
  readonly onDigit: (digit: number) => void;
}

/** Steps of the keys' cursor from one edge to the other. */
const CELLS = 14;
const START = { column: 6, row: 2 };
const ARROWS: Readonly<Record<string, readonly [columns: number, rows: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

interface Cell {
  readonly column: number;
  readonly row: number;
}

const middleOf = ({ column, row }: Cell): Point => ({
  x: (column + 0.5) / CELLS,
  y: (row + 0.5) / CELLS,
});

export function DrawingPad({ strokes, onChange, onDigit }: DrawingPadProps) {
  const paper = useRef<SVGSVGElement>(null);
  const pointer = useRef<number>(undefined);
  const [cursor, setCursor] = useState<Cell>(START);
  const [byKeys, setByKeys] = useState(false);
  const [said, setSaid] = useState("");

  const begin = (...points: readonly Point[]) => onChange((before) => [...before, points]);
  const extend = (points: readonly Point[]) =>
    onChange((before) => [...before.slice(0, -1), [...(before.at(-1) ?? []), ...points]]);

  const pointOf = ({ clientX, clientY }: { clientX: number; clientY: number }): Point => {
    const { left, top, width, height } = paper.current?.getBoundingClientRect() ?? new DOMRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  };
  const onPointerDown = (event: PointerEvent<SVGSVGElement>) => {
    if (pointer.current !== undefined || event.button !== 0) return;
    pointer.current = event.pointerId;
    event.currentTarget.setPointerCapture(event.pointerId);
    setByKeys(false);
    begin(pointOf(event));
  };
  const onPointerMove = (event: PointerEvent<SVGSVGElement>) => {
    if (pointer.current !== event.pointerId) return;
    // All places the pen was at since the last frame, so that a quick line is no polygon.
    const between = event.nativeEvent.getCoalescedEvents();
    extend((between.length > 0 ? between : [event.nativeEvent]).map(pointOf));
  };
  const onPointerEnd = (event: PointerEvent<SVGSVGElement>) => {
    if (pointer.current === event.pointerId) pointer.current = undefined;
  };

  const move = (by: readonly [number, number], painting: boolean) => {
    const within = (value: number) => Math.min(CELLS - 1, Math.max(0, value));
    const next = { column: within(cursor.column + by[0]), row: within(cursor.row + by[1]) };
    setCursor(next);
    if (painting) {
      const last = strokes.at(-1)?.at(-1);
      const from = middleOf(cursor);
      const goesOn = last?.x === from.x && last.y === from.y;
      if (goesOn) extend([middleOf(next)]);
      else begin(from, middleOf(next));
    }
    setSaid(`${painting ? "Painted, " : ""}row ${next.row + 1}, column ${next.column + 1}`);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) move(arrow, event.shiftKey);
    else if (event.key === " ") {
      begin(middleOf(cursor));
      setSaid(`Painted, row ${cursor.row + 1}, column ${cursor.column + 1}`);
    } else if (event.key === "Backspace") {
      onChange((before) => before.slice(0, -1));
      setSaid("Last stroke taken back");
    } else if (event.key === "Delete") {
      onChange(() => []);
      setSaid("Cleared");
    } else if (/^\d$/.test(event.key)) onDigit(Number(event.key));
    else return;
    setByKeys(true);
    event.preventDefault();
  };

  return (
    <div
      className="pad"
      role="application"
      aria-label="Drawing pad"
      aria-describedby="pad-keys"
      tabIndex={0}
      onKeyDown={onKeyDown}
      onFocus={(event) => setByKeys(event.currentTarget.matches(":focus-visible"))}
      onBlur={() => setByKeys(false)}
    >
      <svg
        ref={paper}
        viewBox="0 0 100 100"
        aria-hidden="true"
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerEnd}
        onPointerCancel={onPointerEnd}
      >
        <path className="pad-rule" d="M50 4V96M4 50H96" />
        {strokes.map((stroke, i) => (
          <path key={i} className="ink" d={pathOf(stroke)} />
        ))}
        {byKeys && (
          <rect
            className="pad-cursor"
            x={(100 * cursor.column) / CELLS}
            y={(100 * cursor.row) / CELLS}
            width={100 / CELLS}
            height={100 / CELLS}
            rx="1.5"
          />
        )}
      </svg>
      {strokes.length === 0 && !byKeys && <p className="pad-hint">Draw a digit here</p>}
      <p className="unseen" role="status">
        {said}
      </p>
    </div>
  );
}

/** A single point is drawn as a line of no length, which round ends make a dot. */
const pathOf = (stroke: Stroke): string =>
  stroke
    .map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${(100 * x).toFixed(2)} ${(100 * y).toFixed(2)}`)
    .join("") + (stroke.length === 1 ? "h0" : "");
