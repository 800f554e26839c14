/** In place of a page while nothing could be loaded yet. */

import { FederatedError } from "@tributary/protocol";

import { useApp } from "../app.ts";
import { FaultState } from "../ui/states.tsx";
import { NextAttempt } from "./banner.tsx";

export function Unreached() {
  const { store } = useApp();
  const { connection, loading } = store;
  const loadFault = loading.value.kind === "failed" ? loading.value.fault : undefined;
  const { value } = connection;
  const linkFault = value.kind === "lost" || value.kind === "refused" ? value.fault : undefined;
  const fault = linkFault ?? loadFault ?? new FederatedError("UNAVAILABLE", "nothing came yet");
  return (
    <FaultState
      title={
        fault.code === "UNAVAILABLE"
          ? "The coordinator cannot be reached"
          : "The coordinator does not let this page in"
      }
      fault={fault}
      whole
      onRetry={store.retryNow}
    >
      {value.kind === "lost" && (
        <p class="soft">
          <NextAttempt connection={connection} />
        </p>
      )}
    </FaultState>
  );
}
