/** All that is wrong with a task that was to be created, each with the way to its field. */

import type { FederatedError as Fault } from "@tributary/protocol";
import type { RefObject } from "preact";

import { sentence } from "../ui/states.tsx";
import { fieldId } from "./field-view.tsx";
import type { FieldFault } from "./task-draft.ts";

export interface FaultSummaryProps {
  /** Takes the focus when there is something to tell. */
  readonly focus: RefObject<HTMLDivElement | null>;
  /** What the coordinator answered; undefined where nothing was sent. */
  readonly fault: Fault | undefined;
  /** Messages by the path of the field that shows them. */
  readonly byField: ReadonlyMap<string, string>;
  /** Faults that no field shows. */
  readonly elsewhere: readonly FieldFault[];
  /** The form has to be there before a field of it gets the focus. */
  readonly onShow: () => void;
}

export function FaultSummary(props: FaultSummaryProps) {
  const { focus, fault, byField, elsewhere, onShow } = props;
  const isNamed = byField.size + elsewhere.length > 0;
  return (
    <div class="state state-bad fault-summary" ref={focus} tabIndex={-1} role="alert">
      <h2>Nothing was created</h2>
      {fault !== undefined && (
        <p>
          {isNamed ? "The coordinator refused it:" : sentence(fault.message)}{" "}
          <code>{fault.code}</code>
        </p>
      )}
      <ul class="bullets">
        {[...byField].map(([path, message]) => (
          <li key={path}>
            <a
              href={`#${fieldId(path)}`}
              onClick={(event) => {
                event.preventDefault();
                onShow();
                queueMicrotask(() => document.getElementById(fieldId(path))?.focus());
              }}
            >
              <code>{path}</code>
            </a>{" "}
            {message}
          </li>
        ))}
        {elsewhere.map(({ path, message }) => (
          <li key={`${path} ${message}`}>
            <code>{path}</code> {message}
          </li>
        ))}
      </ul>
    </div>
  );
}
