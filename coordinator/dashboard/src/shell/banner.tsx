/** Above every page while what it shows may be old: why, as of when, and when the next attempt is. */

import type { ReadonlySignal } from "@preact/signals";
import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import type { Connection } from "../data/store.ts";
import { timeText, wholeSpanText } from "../model/format.ts";
import { sentence } from "../ui/states.tsx";

export function Banner() {
  const { store } = useApp();
  const { connection, loading, tasks, resetAtMs } = store;
  // Before the first load the whole page says it.
  const shown = useComputed(() => {
    if (tasks.value === undefined) return undefined;
    if (connection.value.kind === "lost") return "lost";
    if (loading.value.kind === "failed") return "stale";
    return resetAtMs.value === undefined ? undefined : "reset";
  });
  const message = useComputed(() => {
    const { value } = connection;
    if (value.kind === "lost") {
      return `${sentence(value.fault.message)} What you see is as of ${timeText(value.lostAtMs)}.`;
    }
    if (loading.value.kind === "failed") {
      return `${sentence(loading.value.fault.message)} What you see may be old.`;
    }
    const at = timeText(resetAtMs.value ?? NaN);
    return `The coordinator has started again, or too much was missed: all was loaded anew at ${at}.`;
  });
  return (
    <>
      <p class="hidden-visually" role="status">
        {shown.value === undefined ? "" : message}
      </p>
      {shown.value !== undefined && (
        <div class={shown.value === "reset" ? "banner banner-calm" : "banner"}>
          <div>
            <span
              class={shown.value === "reset" ? "dot dot-good" : "dot dot-bad"}
              aria-hidden="true"
            />
            <span>{message}</span>
            {shown.value === "lost" && <NextAttempt connection={connection} />}
            {shown.value === "reset" ? (
              <button type="button" class="button row-end" onClick={store.dismissReset}>
                I see
              </button>
            ) : (
              <button type="button" class="button row-end" onClick={store.retryNow}>
                Try now
              </button>
            )}
          </div>
        </div>
      )}
    </>
  );
}

/** Counts down, and is told to no screen reader: every second a word would be a plague. */
export function NextAttempt({ connection }: { connection: ReadonlySignal<Connection> }) {
  const { now } = useApp();
  const text = useComputed(() => {
    const { value } = connection;
    if (value.kind !== "lost") return "Connecting …";
    const leftMs = value.retryAtMs - now.value;
    return leftMs > 500 ? `Trying again in ${wholeSpanText(leftMs)}.` : "Trying again …";
  });
  return <span aria-hidden="true">{text}</span>;
}
