/** Health of the service, and of this page's own connection to it. */

import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import { countText, dateText, spanText, timeText, wholeSpanText } from "../model/format.ts";
import { NextAttempt } from "../shell/banner.tsx";
import { Panel } from "../ui/panel.tsx";
import { sentence } from "../ui/states.tsx";

export function HealthPage() {
  return (
    <>
      <h1>Health</h1>
      <div class="panels">
        <ServicePanel />
        <ConnectionPanel />
      </div>
    </>
  );
}

type Verdict = boolean | undefined;

function Answer({ verdict, yes, no }: { verdict: Verdict; yes: string; no: string }) {
  if (verdict === undefined) return <span class="pill">Not known yet</span>;
  return verdict ? (
    <span class="pill pill-good">{yes}</span>
  ) : (
    <span class="pill pill-bad">{no}</span>
  );
}

function ServicePanel() {
  const { health } = useApp();
  const { alive, ready, fault, version, checkedAtMs, answeredInMs } = health.health.value;
  return (
    <Panel title="Coordinator">
      <dl class="facts">
        <dt>Process</dt>
        <dd>
          <Answer verdict={alive} yes="Alive" no="No answer" />
        </dd>
        <dt>Work</dt>
        <dd>
          <Answer verdict={ready} yes="Ready" no="Not ready" />
        </dd>
        {fault !== undefined && (
          <>
            <dt>Reason</dt>
            <dd>
              {sentence(fault.message)} <code class="soft">{fault.code}</code>
            </dd>
          </>
        )}
        <dt>Version</dt>
        <dd>{version ?? "–"}</dd>
        <dt>Answers in</dt>
        <dd>{answeredInMs === undefined ? "–" : spanText(answeredInMs)}</dd>
        <dt>Asked at</dt>
        <dd>{checkedAtMs === undefined ? "–" : timeText(checkedAtMs)}</dd>
      </dl>
    </Panel>
  );
}

function ConnectionPanel() {
  const { store, serverNow, now, session } = useApp();
  const { connection } = store;
  const { value } = connection;
  const since = useComputed(() =>
    connection.value.kind === "live" ? wholeSpanText(now.value - connection.value.sinceMs) : "",
  );
  const clock = useComputed(() => dateText(serverNow.value));
  const tasks = store.tasks.value?.length;
  return (
    <Panel title="Live events">
      <dl class="facts">
        <dt>Connection</dt>
        <dd>
          {value.kind === "live" && <span class="pill pill-good">Live for {since}</span>}
          {value.kind === "connecting" && <span class="pill">Connecting</span>}
          {value.kind === "lost" && <span class="pill pill-bad">Lost</span>}
          {value.kind === "refused" && <span class="pill pill-warn">Refused</span>}
        </dd>
        {value.kind === "lost" && (
          <>
            <dt>Reason</dt>
            <dd>
              {sentence(value.fault.message)} <code class="soft">{value.fault.code}</code>{" "}
              <NextAttempt connection={connection} />
            </dd>
          </>
        )}
        <dt>Seen with</dt>
        <dd>{session.token.value === undefined ? "no token" : "the token of this tab"}</dd>
        <dt>Tasks loaded</dt>
        <dd>{tasks === undefined ? "–" : countText(tasks)}</dd>
        <dt>Coordinator’s clock</dt>
        <dd>{clock}</dd>
      </dl>
    </Panel>
  );
}
