/** A React app in StrictMode that uses the hooks; it shows what they give as JSON. */

import type { Predictor, Trainer } from "@tributary/client-sdk";
import { useFederatedClient, useModel, useTask } from "@tributary/client-sdk/react";
import { createElement, StrictMode, useEffect } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";

import { expose, tell } from "./expose.ts";

export interface AppProps {
  readonly url: string;
  readonly token: string;
}

/** What the page shows. */
export interface Shown {
  readonly state: string;
  readonly outcome?: string;
  readonly version?: number;
  readonly error?: string;
}

const trainer: Trainer = {
  train: async ({ weights }) => ({
    weights: weights.map((weight) => weight + 1),
    numExamples: 1,
    metrics: {},
  }),
};
const predictor: Predictor<number, number> = {
  load: async ([first = 0]) => ({ predict: async (input) => first * input, dispose: () => {} }),
};

function App({ url, token }: AppProps) {
  const client = useFederatedClient({ url, token });
  const task = useTask(client, "small", {
    trainer: { train: (request) => trainer.train(request) },
  });
  const model = useModel(client, "small", predictor);
  useEffect(() => tell("mounted"), []);
  const shown: Shown = {
    state: task.state,
    ...(task.closed === undefined ? {} : { outcome: task.closed.outcome }),
    ...(model.version === undefined ? {} : { version: model.version }),
    ...(task.error === undefined ? {} : { error: task.error.code }),
  };
  return createElement("output", null, JSON.stringify(shown));
}

const place = document.body.appendChild(document.createElement("div"));
const root = createRoot(place);

export const functions = expose({
  /** Renders the app, or nothing. */
  render: (props: AppProps | undefined) =>
    flushSync(() =>
      root.render(
        createElement(StrictMode, null, props === undefined ? null : createElement(App, props)),
      ),
    ),
});
