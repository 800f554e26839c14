/** Buttons that steer a task. What the coordinator refuses is told with its code, and not offered again. */

import type { FederatedError as Fault, TaskResource } from "@tributary/protocol";
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import type { TaskPartProps } from "../panels/registry.ts";
import type { IconName } from "../ui/icon.tsx";
import { Icon } from "../ui/icon.tsx";
import { sentence } from "../ui/states.tsx";
import { CancelDialog } from "./cancel-dialog.tsx";
import { OperatorSignIn } from "./operator-sign-in.tsx";
import { noteFault, reasonAgainst } from "./role.ts";
import type { ActionName } from "./steering.ts";
import { ACTIONS, actionsFor } from "./steering.ts";

const ICONS: Readonly<Record<ActionName, IconName>> = {
  pause: "pause",
  resume: "play",
  cancel: "stop",
};

export function TaskActions({ entry }: TaskPartProps) {
  const app = useApp();
  const { taskId, task } = entry;
  const busy = useSignal<ActionName | undefined>(undefined);
  const failure = useSignal<{ readonly action: ActionName; readonly fault: Fault } | undefined>(
    undefined,
  );
  const done = useSignal("");
  const asking = useSignal(false);
  const id = useId();

  async function act(action: ActionName): Promise<void> {
    if (busy.peek() !== undefined) return;
    busy.value = action;
    failure.value = undefined;
    done.value = "";
    try {
      await app.api.send<TaskResource>("POST", ACTIONS[action].route.path({ taskId }));
      done.value = `${taskId} ${ACTIONS[action].done}`;
    } catch (error) {
      const fault = asFault(error);
      noteFault(app, fault);
      failure.value = { action, fault };
    } finally {
      busy.value = undefined;
    }
    // Events tell it as well, but one of them may be on its way for a while; and a fault may be news of the task.
    await app.store.refreshTask(taskId).catch(() => undefined);
  }

  const actions = actionsFor(task.value);
  const against = reasonAgainst(app);
  const { value: failed } = failure;
  return (
    <div class="actions">
      {actions.length > 0 && (
        <div class="row" role="group" aria-label={`Steer ${taskId}`}>
          {actions.map((action) => (
            <button
              key={action}
              type="button"
              class={action === "cancel" ? "button button-danger" : "button"}
              disabled={against !== undefined || busy.value !== undefined}
              aria-describedby={against === undefined ? undefined : `${id}-against`}
              aria-haspopup={action === "cancel" ? "dialog" : undefined}
              onClick={() => {
                if (action === "cancel") asking.value = true;
                else void act(action);
              }}
            >
              <Icon name={ICONS[action]} />
              {busy.value === action ? "One moment …" : ACTIONS[action].title}
            </button>
          ))}
        </div>
      )}
      {actions.length > 0 && against !== undefined && (
        <div class="row actions-against">
          <span id={`${id}-against`} class="small soft">
            {against}
          </span>
          <OperatorSignIn />
        </div>
      )}
      {failed !== undefined && (
        <p class="small error-text" role="alert">
          {taskId} {ACTIONS[failed.action].failed}: {sentence(failed.fault.message)}{" "}
          <code class="nowrap">{failed.fault.code}</code>
        </p>
      )}
      <p class="hidden-visually" role="status">
        {done}
      </p>
      {asking.value && (
        <CancelDialog
          entry={entry}
          onClose={() => (asking.value = false)}
          onConfirm={() => {
            asking.value = false;
            void act("cancel");
          }}
        />
      )}
    </div>
  );
}
