/** Small drawings in SVG attributes: the page's policy allows no style in the markup. */

export interface BarPart {
  readonly key: string;
  /** From 0 to 1; together at most 1. */
  readonly share: number;
  /** Class that fills it. */
  readonly fill: string;
}

export interface BarProps {
  readonly parts: readonly BarPart[];
  readonly tall?: boolean;
  /** What a screen reader says; without it the bar is decoration beside a number. */
  readonly label?: string;
}

/** Parts of a whole, side by side. */
export function Bar({ parts, tall = false, label }: BarProps) {
  let x = 0;
  const drawn = parts.flatMap(({ key, share, fill }) => {
    if (!(share > 0)) return [];
    const from = x;
    x += share;
    return [
      <rect key={key} class={fill} x={percent(from)} y="0" width={percent(share)} height="100%" />,
    ];
  });
  const named =
    label === undefined
      ? { "aria-hidden": true as const }
      : ({ role: "img", "aria-label": label } as const);
  return (
    <svg class={tall ? "bar bar-tall" : "bar"} {...named}>
      {drawn}
    </svg>
  );
}

const percent = (share: number) => `${(100 * Math.min(1, share)).toFixed(2)}%`;

/** The course of a number over its last values; decoration beside the number itself. */
export function SparkLine({ values }: { readonly values: readonly number[] }) {
  const WIDTH = 96;
  const HEIGHT = 24;
  const points = values.filter((value) => Number.isFinite(value));
  if (points.length < 2) return <svg class="spark-line" aria-hidden="true" />;
  const low = Math.min(...points);
  const span = Math.max(...points) - low;
  const at = (value: number, i: number): readonly [x: number, y: number] => [
    (i / (points.length - 1)) * WIDTH,
    // A line that does not move runs through the middle.
    span === 0 ? HEIGHT / 2 : HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4),
  ];
  const path = points
    .map((value, i) => {
      const [x, y] = at(value, i);
      return `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
  const [endX, endY] = at(points.at(-1) as number, points.length - 1);
  return (
    <svg class="spark-line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={path} />
      <circle cx={endX} cy={endY} r="2.2" />
    </svg>
  );
}
