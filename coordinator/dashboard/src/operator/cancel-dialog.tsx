/** Asks before a task is cancelled: says what is lost, and has its name typed, since nothing brings it back. */

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import type { TaskEntry } from "../data/task-entry.ts";
import { Dialog } from "../ui/dialog.tsx";
import { lossesOf } from "./steering.ts";

export interface CancelDialogProps {
  readonly entry: TaskEntry;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

export function CancelDialog({ entry, onConfirm, onClose }: CancelDialogProps) {
  const { taskId, task, round } = entry;
  const typed = useSignal("");
  const id = useId();
  return (
    <Dialog title={`Cancel “${taskId}”?`} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.value.trim() === taskId) onConfirm();
        }}
      >
        <ul class="bullets">
          {lossesOf(task.value, round.value).map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
        <div class="field">
          <label for={id}>
            Type <code>{taskId}</code> to confirm
          </label>
          <input
            id={id}
            class="input mono"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={typed}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </div>
        <div class="row">
          <button
            type="submit"
            class="button button-danger"
            disabled={typed.value.trim() !== taskId}
          >
            Cancel the task for ever
          </button>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
