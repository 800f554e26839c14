/** Looks of lines: each has a colour and strokes of its own, so that nobody needs to tell colours apart. */

import type { Line } from "./chart.tsx";

export type LineStyle = Pick<Line, "colour" | "dash">;

const STYLES: readonly LineStyle[] = [
  { colour: "--series-1", dash: [] },
  { colour: "--series-2", dash: [9, 4] },
  { colour: "--series-3", dash: [2, 3] },
  { colour: "--series-4", dash: [12, 3, 2, 3] },
  { colour: "--series-5", dash: [5, 2] },
  { colour: "--series-6", dash: [14, 5] },
];

/** After the last one they begin again. */
export const lineStyle = (index: number): LineStyle => STYLES[index % STYLES.length] as LineStyle;
