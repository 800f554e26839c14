/** Taking part: the question, what goes on, and every way out of it. */

import type { Device } from "@tributary/client-sdk/browser";
import type { TaskView } from "@tributary/client-sdk/react";
import { useState } from "react";

import { CAUTION, NEVER_SENT, SENT } from "./consent-text.ts";
import type { Contribution } from "./contributions.ts";
import { SentTable } from "./sent-table.tsx";
import type { Circumstances } from "./words.ts";
import { describe } from "./words.ts";

export interface PartCardProps {
  readonly device: Device;
  readonly task: TaskView;
  readonly now: Circumstances;
  readonly contributions: readonly Contribution[];
  readonly onLeave: () => void;
  readonly onReturn: () => void;
  readonly onError: (error: unknown) => void;
}

export function PartCard(props: PartCardProps) {
  const { device, task, now, contributions, onLeave, onReturn, onError } = props;
  const [asking, setAsking] = useState(false);
  const words = describe(task, now);
  const takesPart = now.agreed && !now.left && !now.ended;

  const agree = () => {
    setAsking(false);
    onReturn();
    device.consent.grant().catch(onError);
  };

  return (
    <section className="card" aria-labelledby="part-title">
      <h2 id="part-title">Take part</h2>
      <div className={`state ${words.tone}`} role="status">
        <p className="state-title">{words.title}</p>
        <p>{words.detail}</p>
      </div>
      {task.state === "training" && <TrainingProgress task={task} />}
      {!now.ended && !now.agreed && !asking && (
        <div className="buttons">
          <button type="button" className="main" onClick={() => setAsking(true)}>
            Take part …
          </button>
        </div>
      )}
      {!now.agreed && asking && <Question onAgree={agree} onRefuse={() => setAsking(false)} />}
      {now.agreed && now.left && !now.ended && (
        <div className="buttons">
          <button type="button" className="main" onClick={onReturn}>
            Take part again
          </button>
          <Withdraw device={device} onError={onError} />
        </div>
      )}
      {takesPart && (
        <div className="buttons">
          {task.pausedBy.includes("user") ? (
            <button type="button" className="main" onClick={task.resume}>
              Go on
            </button>
          ) : (
            <button type="button" onClick={task.pause} disabled={task.state === "notJoined"}>
              Pause
            </button>
          )}
          <button type="button" onClick={onLeave}>
            Leave
          </button>
          <Withdraw device={device} onError={onError} />
        </div>
      )}
      {(now.agreed || contributions.length > 0) && <SentTable contributions={contributions} />}
    </section>
  );
}

function Question({ onAgree, onRefuse }: { onAgree: () => void; onRefuse: () => void }) {
  return (
    <div className="question" role="group" aria-labelledby="question-title">
      <h3 id="question-title" tabIndex={-1} ref={(title) => title?.focus()}>
        May this browser train on your drawings?
      </h3>
      <p>In each round it would make the model a little better on your drawings, right here.</p>
      <div className="columns">
        <div>
          <h4>What is sent</h4>
          <ul>
            {SENT.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
        <div>
          <h4>What is never sent</h4>
          <ul>
            {NEVER_SENT.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
      </div>
      <p className="quiet">{CAUTION}</p>
      <div className="buttons">
        <button type="button" className="main" onClick={onAgree}>
          I agree, take part
        </button>
        <button type="button" onClick={onRefuse}>
          Not now
        </button>
      </div>
    </div>
  );
}

const Withdraw = ({ device, onError }: Pick<PartCardProps, "device" | "onError">) => (
  <button
    type="button"
    className="plain"
    onClick={() => void device.consent.withdraw().catch(onError)}
  >
    Withdraw my agreement
  </button>
);

function TrainingProgress({ task: { progress } }: Pick<PartCardProps, "task">) {
  const batches = progress?.batches ?? 1;
  const done = progress === undefined ? 0 : (progress.epoch - 1) * batches + progress.batch;
  return <progress aria-label="Training" max={(progress?.epochs ?? 1) * batches} value={done} />;
}
