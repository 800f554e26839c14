/** The page: starts, says what stands in the way, and shows the rest. */

import { toFederatedError } from "@tributary/protocol";
import { useCallback, useEffect, useState } from "react";

import type { Start } from "./start.ts";
import { start } from "./start.ts";
import { Studio } from "./studio.tsx";

export function App() {
  const [started, setStarted] = useState<Start>();
  const [fault, setFault] = useState<string>();
  /** Each time that everything is forgotten, somebody new begins. */
  const [person, setPerson] = useState(0);

  useEffect(() => {
    let here = true;
    let own: Start | undefined;
    const begin = async () => {
      own = await start();
      if (here) setStarted(own);
      else own.device.close();
    };
    begin().catch((error: unknown) => {
      if (here) setFault(wordsOf(error));
    });
    return () => {
      here = false;
      setStarted(undefined);
      own?.device.close();
    };
  }, [person]);

  const onForgotten = useCallback(() => setPerson((before) => before + 1), []);

  return (
    <>
      <header>
        <Streams />
        <h1>Draw digits, teach a model</h1>
        <p>
          Your drawings stay on this device. If you agree, your browser trains on them, and only
          what the model learned joins what others learned.
        </p>
      </header>
      <main>
        {fault !== undefined && (
          <div className="state trouble" role="alert">
            <p className="state-title">This page cannot start</p>
            <p>{fault}</p>
          </div>
        )}
        {started === undefined && fault === undefined && (
          <p className="quiet" role="status">
            Getting ready …
          </p>
        )}
        {started !== undefined && <Studio key={person} {...started} onForgotten={onForgotten} />}
      </main>
      <footer>
        <p>
          An example of <strong>Tributary</strong>, federated learning for JavaScript. The test
          images are MNIST’s.
        </p>
      </footer>
    </>
  );
}

/** Many streams, one of them the visitor’s, become one river. */
const Streams = () => (
  <svg className="streams" viewBox="0 0 600 90" preserveAspectRatio="none" aria-hidden="true">
    <path d="M0 14C170 14 210 52 330 52S500 45 600 45" />
    <path d="M0 38C150 38 220 50 330 50S500 45 600 45" />
    <path className="mine" d="M0 62C160 62 215 40 330 40S500 45 600 45" />
    <path d="M0 80C180 80 225 42 330 42S500 45 600 45" />
  </svg>
);

const BLOCKED = ["SecurityError", "InvalidStateError"];

function wordsOf(error: unknown): string {
  const { message, details } = toFederatedError(error);
  const isBlocked =
    details?.reason === "blocked" ||
    (error instanceof DOMException && BLOCKED.includes(error.name));
  if (isBlocked) {
    return "This browser keeps no data for this page. Private windows and blocked site data are the usual reasons.";
  }
  return message;
}
