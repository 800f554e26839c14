/** How good the model is, round by round. */

import type { Contribution } from "./contributions.ts";
import type { DigitsModel } from "./predictions.ts";
import { percent } from "./predictions.ts";
import type { Judged, Rounds } from "./rounds.ts";

export interface ModelCardProps {
  readonly model: DigitsModel;
  readonly rounds: Rounds;
  readonly contributions: readonly Contribution[];
}

export function ModelCard({ model, rounds, contributions }: ModelCardProps) {
  const { history } = rounds;
  const latest = history.at(-1);
  const mine = new Set(contributions.map(({ modelVersion }) => modelVersion));
  const helped = history.filter(({ modelVersion }) => mine.has(modelVersion)).length;
  return (
    <section className="card" aria-labelledby="model-title">
      <h2 id="model-title">The model</h2>
      <p className="figure">
        <strong>{latest === undefined ? "–" : percent(latest.accuracy, 1)}</strong>{" "}
        <span>
          of the test images read right
          {latest !== undefined && ` after round ${latest.roundNumber}`}
        </span>
      </p>
      <Chart history={history} mine={mine} />
      <dl className="facts">
        <div>
          <dt>On this device</dt>
          <dd>{model.version === undefined ? "not yet" : `version ${model.version}`}</dd>
        </div>
        <div>
          <dt>Round now</dt>
          <dd>{roundNow(rounds)}</dd>
        </div>
        <div>
          <dt>With your help</dt>
          <dd>{helped === 1 ? "1 version" : `${helped} versions`}</dd>
        </div>
      </dl>
    </section>
  );
}

function roundNow({ round, online, task }: Rounds): string {
  if (task?.state === "ended") return "none, training has ended";
  if (!online) return "no connection";
  if (round === undefined) return "about to begin";
  const of = `${round.roundNumber}: `;
  switch (round.phase) {
    case "selecting":
      return `${of}gathering`;
    case "reporting": {
      const { participants } = round;
      return participants === undefined
        ? `${of}training`
        : `${of}${participants.reported} of ${participants.selected} have reported`;
    }
    case "aggregating":
      return `${of}putting together`;
    case "committed":
      return `${of}done, a short rest`;
    case "abandoned":
      return `${of}given up, the next one follows`;
  }
}

/** In units of the drawing. */
const WIDTH = 320;
const HEIGHT = 150;
const LEFT = 34;
const BOTTOM = 22;

function Chart({ history, mine }: { history: readonly Judged[]; mine: ReadonlySet<unknown> }) {
  const first = history[0]?.modelVersion ?? 0;
  const span = Math.max(10, (history.at(-1)?.modelVersion ?? 0) - first);
  const x = (version: number) => LEFT + 6 + ((WIDTH - LEFT - 16) * (version - first)) / span;
  const y = (accuracy: number) => 8 + (HEIGHT - BOTTOM - 8) * (1 - accuracy);
  const points = history.map((judged) => ({
    ...judged,
    x: x(judged.modelVersion),
    y: y(judged.accuracy),
  }));
  const line = points.map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(" ");
  const [start, end] = [history[0], history.at(-1)];
  const words =
    start === undefined || end === undefined
      ? "No version has been judged yet"
      : `Accuracy from ${percent(start.accuracy, 1)} after round ${start.roundNumber} to ` +
        `${percent(end.accuracy, 1)} after round ${end.roundNumber}`;
  return (
    <figure className="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={words}>
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <path className="grid" d={`M${LEFT} ${y(share)}H${WIDTH - 6}`} />
            <text x={LEFT - 6} y={y(share) + 4} textAnchor="end">
              {percent(share)}
            </text>
          </g>
        ))}
        <text x={WIDTH - 6} y={HEIGHT - 4} textAnchor="end">
          rounds
        </text>
        {points.length > 1 && <polyline className="line" points={line} />}
        {points.map((point) => {
          const isMine = mine.has(point.modelVersion);
          const what = `Round ${point.roundNumber}: ${percent(point.accuracy, 1)}`;
          return (
            <circle
              key={point.modelVersion}
              // Each of up to two hundred would be too much to listen to.
              {...(isMine ? { role: "img", "aria-label": `${what}, with your update` } : {})}
              className={isMine ? "mine" : ""}
              cx={point.x}
              cy={point.y}
              r={isMine ? 4 : 2}
            >
              <title>{isMine ? `${what}, with your update` : what}</title>
            </circle>
          );
        })}
      </svg>
      <figcaption>
        <span className="dot" aria-hidden="true" /> rounds that your update counted in
      </figcaption>
    </figure>
  );
}
