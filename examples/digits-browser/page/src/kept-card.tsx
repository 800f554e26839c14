/** What is promised about privacy, what this browser keeps, and how to make it forget. */

import type { Device } from "@tributary/client-sdk/browser";
import type { PrivacyResource } from "@tributary/protocol";
import { useState } from "react";

import { CLIPPING_NORM } from "../../src/task.ts";

export interface KeptCardProps {
  readonly device: Device;
  readonly privacy: PrivacyResource | undefined;
  readonly drawings: number;
  readonly version: number | undefined;
  readonly onForget: () => Promise<void>;
}

export function KeptCard({ device, privacy, drawings, version, onForget }: KeptCardProps) {
  const [sure, setSure] = useState(false);
  const { state, since } = device.consent;
  const agreement =
    state === "unasked" || since === undefined
      ? "not given"
      : `${state} on ${new Date(since).toLocaleDateString("en", { dateStyle: "long" })}`;
  return (
    <section className="card wide" aria-labelledby="kept-title">
      <h2 id="kept-title">Privacy, and what is kept</h2>
      <div className="columns">
        <div>
          <h3>What this task promises</h3>
          <p>{promiseOf(privacy)}</p>
        </div>
        <div>
          <h3>What this browser keeps</h3>
          <dl className="facts">
            <div>
              <dt>Drawings</dt>
              <dd>{drawings}</dd>
            </div>
            <div>
              <dt>Model</dt>
              <dd>{version === undefined ? "none" : `version ${version}`}</dd>
            </div>
            <div>
              <dt>Agreement</dt>
              <dd>{agreement}</dd>
            </div>
            <div>
              <dt>Random name</dt>
              <dd>yes</dd>
            </div>
          </dl>
          <div className="buttons">
            {sure ? (
              <>
                <button
                  type="button"
                  className="danger"
                  onClick={() => {
                    setSure(false);
                    void onForget();
                  }}
                >
                  Yes, forget everything
                </button>
                <button type="button" onClick={() => setSure(false)}>
                  Keep it
                </button>
              </>
            ) : (
              <button type="button" onClick={() => setSure(true)}>
                Forget everything …
              </button>
            )}
          </div>
        </div>
      </div>
    </section>
  );
}

/** A task under differential privacy brings its own sentence. */
function promiseOf(privacy: PrivacyResource | undefined): string {
  if (privacy === undefined) return "Not known yet: the coordinator has not been reached.";
  if (privacy.mechanism !== "none") return privacy.statement;
  return (
    "No differential privacy: with so few taking part, the noise would drown what is learned. Drawings " +
    `stay on the device, each change is cut to a norm of at most ${CLIPPING_NORM}, and only sums of ` +
    "everybody’s changes are published. The coordinator sees each change before it is added up."
  );
}
