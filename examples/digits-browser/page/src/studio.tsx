/** Everything that needs a device: the client, its part in the task, the model it serves. */

import { wakeWhenBack } from "@tributary/client-sdk/browser";
import { useFederatedClient, useModel, useTask } from "@tributary/client-sdk/react";
import { toFederatedError } from "@tributary/protocol";
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";

import { useContributions } from "./contributions.ts";
import { DrawCard } from "./draw-card.tsx";
import { DrawingsCard } from "./drawings-card.tsx";
import { useDrawings } from "./drawings.ts";
import { KeptCard } from "./kept-card.tsx";
import { ModelCard } from "./model-card.tsx";
import { PartCard } from "./part-card.tsx";
import { useRounds } from "./rounds.ts";
import { watchSentUpdates } from "./sent-updates.ts";
import type { Start } from "./start.ts";

export interface StudioProps extends Start {
  /** Everything has been forgotten. */
  readonly onForgotten: () => void;
}

export function Studio({ config, device, drawings, worker, onForgotten }: StudioProps) {
  const { coordinatorUrl, taskId, publicKey } = config;
  const [sent] = useState(watchSentUpdates);
  const [left, setLeft] = useState(false);
  const [fault, setFault] = useState<string>();
  const onError = useCallback((error: unknown) => setFault(toFederatedError(error).message), []);

  const rounds = useRounds(coordinatorUrl, taskId);
  const count = useDrawings(drawings).length;
  const consent = useSyncExternalStore(device.consent.subscribe, () => device.consent.state);
  const agreed = consent === "granted";
  const ended = rounds.task?.state === "ended";
  const layout = rounds.task?.layout;
  useEffect(() => {
    if (layout !== undefined) sent.useLayout(layout);
  }, [sent, layout]);

  const client = useFederatedClient({
    ...device.clientOptions,
    url: coordinatorUrl,
    trust: { publicKeys: [publicKey] },
    fetch: sent.fetch,
  });
  useEffect(() => (client === undefined ? undefined : wakeWhenBack(client)), [client]);

  const conditions = useMemo(() => device.conditions(), [device]);
  const takesPart = agreed && !left && !ended && count > 0;
  const task = useTask(takesPart ? client : undefined, taskId, {
    trainer: worker.trainer,
    conditions,
    signal: device.signal,
  });
  const model = useModel(client, taskId, worker.predictor);
  const contributions = useContributions(sent, task);

  const onForget = async () => {
    try {
      await drawings.clear();
      await device.forgetMe();
      onForgotten();
    } catch (error) {
      onError(error);
    }
  };

  return (
    <>
      {fault !== undefined && (
        <div className="state trouble" role="alert">
          <p className="state-title">That did not work</p>
          <p>{fault}</p>
        </div>
      )}
      <div className="studio">
        <div>
          <DrawCard model={model} drawings={drawings} onError={onError} />
          <DrawingsCard model={model} drawings={drawings} onError={onError} />
        </div>
        <div>
          <PartCard
            device={device}
            task={task}
            now={{ online: rounds.online, ended, drawings: count, agreed, left }}
            contributions={contributions}
            onLeave={() => setLeft(true)}
            onReturn={() => setLeft(false)}
            onError={onError}
          />
          <ModelCard model={model} rounds={rounds} contributions={contributions} />
        </div>
      </div>
      <KeptCard
        device={device}
        privacy={rounds.privacy}
        drawings={count}
        version={model.version}
        onForget={onForget}
      />
    </>
  );
}
