/** One served model as a component sees it: served while it is looked at, closed afterwards. */

import type { Digest, FederatedError, ModelManifest } from "@tributary/protocol";
import { FederatedError as Fault, toFederatedError } from "@tributary/protocol";

import type { Client } from "../client.ts";
import type { ServedModel } from "../serving.ts";
import type { Predictor } from "../trainer.ts";
import type { Store } from "./store.ts";
import { createStore } from "./store.ts";

export interface ModelSnapshot {
  /** The newest version serves, or the cached one where the coordinator is out of reach. */
  readonly ready: boolean;
  /** Version that predictions begin with now; there may be one from the cache before it is `ready`. */
  readonly version?: number;
  readonly digest?: Digest;
  /** What the coordinator signed about it. */
  readonly manifest?: ModelManifest;
  /** The last thing that went wrong, until another version serves. */
  readonly error?: FederatedError;
}

export interface ModelView<Input, Output> extends ModelSnapshot {
  /** Stays the same function while the model does. @throws FederatedError as `ServedModel.predict`; UNAVAILABLE without a model */
  predict(input: Input): Promise<Output>;
}

export const NO_MODEL: ModelView<never, never> = {
  ready: false,
  predict: async () => {
    throw new Fault(
      "UNAVAILABLE",
      "no model is served here: there is no client or no predictor yet",
    );
  },
};

export function createModelStore<Input, Output>(
  client: Client | undefined,
  taskId: string,
  predictor: Predictor<Input, Output> | undefined,
): Store<ModelView<Input, Output>> {
  return createStore<ModelView<Input, Output>>(NO_MODEL, ({ show }) => {
    if (client === undefined || predictor === undefined) return () => {};
    let model: ServedModel<Input, Output>;
    try {
      model = client.model(taskId, { predictor });
    } catch (error) {
      show({ ...NO_MODEL, error: toFederatedError(error) });
      return () => {};
    }
    let ready = false;
    const showModel = (error?: FederatedError) => {
      const { version, digest, manifest, predict } = model;
      show({
        ready,
        predict,
        ...(version === undefined ? {} : { version }),
        ...(digest === undefined ? {} : { digest }),
        ...(manifest === undefined ? {} : { manifest }),
        ...(error === undefined ? {} : { error }),
      });
    };
    model.on("update", () => showModel());
    model.on("error", (error) => showModel(error));
    model.ready.then(
      () => {
        ready = true;
        showModel();
      },
      (error: unknown) => showModel(toFederatedError(error)),
    );
    showModel();
    return () => void model.close();
  });
}
