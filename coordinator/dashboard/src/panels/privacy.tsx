/** What is promised to the clients of a task, what of its budget is spent, and by which mechanism. */

import type { PrivacyResource } from "@tributary/protocol";
import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { Line } from "../charts/chart.tsx";
import { Chart } from "../charts/chart.tsx";
import { lineStyle } from "../charts/line-styles.ts";
import type { Zoom } from "../charts/plot.tsx";
import type { TaskEntry } from "../data/task-entry.ts";
import { useLongHistory } from "../data/use-long-history.ts";
import { curveOf } from "../model/curve.ts";
import {
  countText,
  counted,
  decimalText,
  deltaText,
  epsilonText,
  leftText,
  percentText,
  spentText,
} from "../model/format.ts";
import {
  ADJACENCY_WORDS,
  claimWords,
  MECHANISM_WORDS,
  unprotectedWords,
} from "../model/privacy-words.ts";
import { Bar } from "../ui/drawings.tsx";
import { Icon } from "../ui/icon.tsx";
import { Panel } from "../ui/panel.tsx";
import { FaultState, Skeleton } from "../ui/states.tsx";

type Accounted = Extract<PrivacyResource, { mechanism: "central" | "matrix" }>;

export function PrivacyPanel({ entry }: { readonly entry: TaskEntry }) {
  const { privacy } = entry;
  useEffect(() => privacy.want(), [privacy]);
  const { value, fault } = privacy.state.value;
  if (value === undefined) {
    return fault === undefined ? (
      <Skeleton lines={6} label="Loading what is promised" />
    ) : (
      <FaultState
        title="What is promised could not be loaded"
        fault={fault}
        onRetry={() => privacy.refresh()}
      />
    );
  }
  if (value.mechanism === "none") {
    return (
      <Panel title="No differential privacy" wide>
        <p>
          {unprotectedWords(entry.task.value.spec)} Nobody’s data leaves its device, but models may
          remember single examples, and nothing here bounds what they tell of one client.
        </p>
      </Panel>
    );
  }
  return (
    <>
      {value.mechanism === "local" ? (
        <LocalBudget privacy={value} />
      ) : (
        <>
          <Budget privacy={value} />
          <Course entry={entry} privacy={value} />
        </>
      )}
      <Panel title="The promise in words">
        <p class="statement">{value.statement}</p>
      </Panel>
      <Mechanism privacy={value} />
    </>
  );
}

function Budget({ privacy }: { readonly privacy: Accounted }) {
  const { epsilon, maxEpsilon, delta, rounds, roundsLeft } = privacy;
  const share = epsilon / maxEpsilon;
  const left = Math.max(0, maxEpsilon - epsilon);
  const fill = share >= 1 ? "bar-bad" : share >= 0.8 ? "bar-warn" : "bar-fill";
  return (
    <Panel title="Budget">
      <div class="foot">
        <p>
          <span class="countdown">ε {epsilonText(epsilon)}</span>{" "}
          <span class="soft">spent of {epsilonText(maxEpsilon)}</span>
        </p>
        <p class="soft">{spentText(share)}</p>
      </div>
      <Bar
        tall
        parts={[{ key: "spent", share, fill }]}
        label={`Epsilon ${epsilonText(epsilon)} of ${epsilonText(maxEpsilon)} is spent`}
      />
      <dl class="facts">
        <dt>Left</dt>
        <dd>{share >= 1 ? "nothing: no further round can be afforded" : `ε ${leftText(left)}`}</dd>
        <dt>Rounds charged</dt>
        <dd>{countText(rounds)}</dd>
        <dt>Rounds left</dt>
        <dd>
          {roundsLeft === undefined
            ? "not counted ahead, as its cohorts have a cap"
            : privacy.mechanism === "matrix"
              ? `${countText(roundsLeft)} of the run, at no further cost`
              : countText(roundsLeft)}
        </dd>
        <dt>δ</dt>
        <dd>{deltaText(delta)}</dd>
        {privacy.mechanism === "central" && (
          <>
            <dt>Without sampling</dt>
            <dd>
              ε {epsilonText(privacy.epsilonWithoutAmplification)}, against whoever knows who took
              part in which round
            </dd>
          </>
        )}
      </dl>
      {privacy.mechanism === "central" &&
        privacy.warnings.map((warning) => (
          <p key={warning} class="note note-warn">
            <Icon name="warning" />
            <span>{warning}</span>
          </p>
        ))}
    </Panel>
  );
}

/** Epsilon over rounds, below the line that it may not cross. */
function Course({ entry, privacy }: { readonly entry: TaskEntry; readonly privacy: Accounted }) {
  const { table } = useLongHistory(entry).value;
  const zoom = useSignal<Zoom | undefined>(undefined);
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const curve = useMemo(() => curveOf(table, "epsilon", "round"), [table]);
  const lines = useMemo<Line[]>(
    () => [{ key: "epsilon", label: "ε so far", ...lineStyle(0), curve }],
    [curve],
  );
  const limit = useMemo(
    () => ({ y: privacy.maxEpsilon, label: `Budget ε ${epsilonText(privacy.maxEpsilon)}` }),
    [privacy.maxEpsilon],
  );
  return (
    <Panel title="Epsilon over rounds">
      {curve.xs.length === 0 ? (
        <p class="soft">Nothing has been released yet, so nothing is spent.</p>
      ) : (
        <Chart
          name="Epsilon"
          xName="round"
          xText={countText}
          yText={epsilonText}
          yTick={(y) => String(Number(y.toPrecision(6)))}
          syncKey="privacy"
          height={220}
          fromZero
          {...{ lines, zoom, hidden, limit }}
        />
      )}
    </Panel>
  );
}

function LocalBudget({
  privacy,
}: {
  readonly privacy: Extract<PrivacyResource, { mechanism: "local" }>;
}) {
  const { epsilonPerUpdate, updatesPerClient, maxEpsilon, delta } = privacy;
  return (
    <Panel title="Budget of each client">
      <p>
        Clients add the noise themselves. Each keeps its own account and stops when its budget is
        spent; the coordinator has no account and sees none.
      </p>
      <dl class="facts">
        <dt>One update</dt>
        <dd>ε {epsilonText(epsilonPerUpdate)}</dd>
        <dt>All of a client</dt>
        <dd>
          at most ε {epsilonText(maxEpsilon)}, in {counted(updatesPerClient, "update")}
        </dd>
        <dt>δ</dt>
        <dd>{deltaText(delta)}</dd>
      </dl>
    </Panel>
  );
}

function Mechanism({
  privacy,
}: {
  readonly privacy: Exclude<PrivacyResource, { mechanism: "none" }>;
}) {
  const { mechanism, adjacency, noiseMultiplier, clippingNorm, accountant } = privacy;
  return (
    <Panel title="Mechanism">
      <dl class="facts">
        <Fact name="Kind">{MECHANISM_WORDS[mechanism]}</Fact>
        <Fact name="Protects">one client: {ADJACENCY_WORDS[adjacency]}</Fact>
        {privacy.mechanism !== "local" && (
          <Fact name="Against">whoever sees released models, and nobody who sees more</Fact>
        )}
        <Fact name="Noise">
          {decimalText(noiseMultiplier, 3)} times {NOISE_UNITS[mechanism]}
          {privacy.mechanism === "central" && `, ${privacy.noise}`}
        </Fact>
        <Fact name="Clipping norm">
          {decimalText(clippingNorm, 4)}
          {privacy.mechanism === "central" && privacy.adaptiveClipping !== undefined
            ? `, follows the ${percentText(privacy.adaptiveClipping.targetQuantile, 0)} quantile of the clients’ norms`
            : ""}
        </Fact>
        {privacy.mechanism === "central" &&
          privacy.sampling.map(({ claim, rounds }, i) => (
            <Fact key={i} name={i === 0 ? "Sampling" : ""}>
              {claimWords(claim)}
              {rounds > 0 && `, ${counted(rounds, "round")}`}
            </Fact>
          ))}
        {privacy.mechanism === "matrix" && (
          <>
            <Fact name="Factorization">{privacy.factorization.toUpperCase()}</Fact>
            <Fact name="A client takes part">
              at most {counted(privacy.maxParticipations, "time")}, at least{" "}
              {counted(privacy.minSeparation, "step")} apart
            </Fact>
            <Fact name="Sensitivity">{decimalText(privacy.sensitivity, 4)}</Fact>
          </>
        )}
        <Fact name="Accountant">{ACCOUNTANT_WORDS[accountant]}</Fact>
      </dl>
    </Panel>
  );
}

/** What a noise multiplier is a multiple of. */
const NOISE_UNITS = {
  central: "the clipping norm",
  local: "twice the clipping norm",
  matrix: "the clipping norm and the sensitivity, before it is correlated",
} as const;

const ACCOUNTANT_WORDS = {
  rdp: "Rényi divergences",
  pld: "privacy loss distribution",
  "exact-gaussian": "the exact curve of the Gaussian mechanism",
} as const;

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
