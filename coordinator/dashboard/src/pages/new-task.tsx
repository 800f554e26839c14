/** A new task: as a form, or as JSON, whichever is at hand. Nothing is sent while something is known to be wrong. */

import type { FederatedError as Fault, TaskResource } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import { FaultSummary } from "../operator/fault-summary.tsx";
import { FieldView } from "../operator/field-view.tsx";
import type { InitialWeights } from "../operator/initial-weights.ts";
import { base64 } from "../operator/initial-weights.ts";
import { ModelField } from "../operator/model-field.tsx";
import { OperatorSignIn } from "../operator/operator-sign-in.tsx";
import { noteFault, reasonAgainst } from "../operator/role.ts";
import type { Draft, FieldFault } from "../operator/task-draft.ts";
import {
  draftText,
  faultsNamed,
  faultsOf,
  fieldOf,
  NEW_DRAFT,
  parseDraft,
  shownPaths,
} from "../operator/task-draft.ts";
import { taskSections } from "../operator/task-fields.ts";
import { hrefs } from "../route.ts";
import { Panel } from "../ui/panel.tsx";

const KEY = "tributary-new-task";

/** A browser may forbid storage; then a reload begins anew. */
function keep(text: string | undefined): void {
  try {
    if (text === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // Not kept, then.
  }
}
function kept(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

function readOr(text: string, otherwise: Draft): Draft {
  try {
    return parseDraft(text);
  } catch {
    return otherwise;
  }
}

export function NewTaskPage() {
  const app = useApp();
  const summary = useRef<HTMLDivElement>(null);
  const begun = useRef(kept() ?? draftText(NEW_DRAFT));
  /** What is written; text that is no JSON yet stands beside the draft that was read last. */
  const text = useSignal(begun.current);
  const draft = useSignal(readOr(begun.current, NEW_DRAFT));
  const view = useSignal<"form" | "json">("form");
  const weights = useSignal<InitialWeights | undefined>(undefined);
  /** Faults are told once the author says that it is done, and as the coordinator answers. */
  const wasSent = useSignal(false);
  const told = useSignal<{ readonly fault: Fault; readonly of: Draft } | undefined>(undefined);
  const sending = useSignal(false);

  const unread = useComputed(() => {
    try {
      parseDraft(text.value);
      return undefined;
    } catch (error) {
      return reasonOf(error);
    }
  });
  const faults = useComputed<readonly FieldFault[]>(() => {
    const own = wasSent.value ? faultsOf(draft.value) : [];
    const known = new Set(own.map(({ path }) => path));
    const theirs = told.value === undefined ? [] : faultsNamed(told.value.fault);
    return [...own, ...theirs.filter(({ path }) => !known.has(path))];
  });
  const placed = useComputed(() => {
    const shown = [...shownPaths(draft.value), "initialWeights"];
    const byField = new Map<string, string>();
    const elsewhere: FieldFault[] = [];
    for (const fault of faults.value) {
      const field = fieldOf(fault.path, shown);
      if (field === undefined) elsewhere.push(fault);
      else if (!byField.has(field)) {
        const inner = fault.path.slice(field.length + 1);
        byField.set(field, inner === "" ? fault.message : `(${inner}) ${fault.message}`);
      }
    }
    return { byField, elsewhere };
  });

  const write = (next: string) => {
    text.value = next;
    keep(next);
  };
  const change = (next: Draft) => {
    draft.value = next;
    // What the coordinator said was of another draft; a field that it named may be mended now.
    told.value = undefined;
    write(draftText(next));
  };
  const changeText = (next: string) => {
    write(next);
    try {
      draft.value = parseDraft(next);
      told.value = undefined;
    } catch {
      // `unread` says so.
    }
  };

  async function send(): Promise<void> {
    wasSent.value = true;
    told.value = undefined;
    if (unread.peek() !== undefined || faultsOf(draft.peek()).length > 0) {
      queueMicrotask(() => summary.current?.focus());
      return;
    }
    sending.value = true;
    const of = draft.peek();
    const first = weights.peek();
    try {
      const created = await app.api.send<TaskResource>("POST", routes.tasks.path(), {
        spec: of,
        ...(first === undefined ? {} : { initialWeights: base64(first.bytes) }),
      });
      keep(undefined);
      await app.store.refreshTask(created.taskId).catch(() => undefined);
      location.hash = hrefs.task(created.taskId);
    } catch (error) {
      const fault = asFault(error);
      noteFault(app, fault);
      told.value = { fault, of };
      queueMicrotask(() => summary.current?.focus());
    } finally {
      sending.value = false;
    }
  }

  const against = reasonAgainst(app);
  const isWrong = faults.value.length > 0 || told.value !== undefined;
  return (
    <>
      <div class="page-head">
        <div>
          <p class="breadcrumb">
            <a href={hrefs.overview}>Tasks</a>
          </p>
          <h1>New task</h1>
        </div>
        <div class="row">
          <div class="chips" role="group" aria-label="Write it as">
            {(["form", "json"] as const).map((each) => (
              <button
                key={each}
                type="button"
                class="chip"
                aria-pressed={view.value === each}
                onClick={() => (view.value = each)}
              >
                {each === "form" ? "Form" : "JSON"}
              </button>
            ))}
          </div>
          <label class="button">
            Open a task file
            <input
              class="hidden-visually"
              type="file"
              accept=".json,application/json"
              onChange={({ currentTarget }) => {
                void currentTarget.files?.[0]?.text().then((read) => {
                  wasSent.value = false;
                  changeText(read);
                  if (unread.peek() !== undefined) view.value = "json";
                });
                currentTarget.value = "";
              }}
            />
          </label>
          <button
            type="button"
            class="button"
            onClick={() => {
              wasSent.value = false;
              weights.value = undefined;
              change(NEW_DRAFT);
              keep(undefined);
            }}
          >
            Start over
          </button>
        </div>
      </div>

      {against !== undefined && (
        <div class="note row">
          <span>{against} You may write the task before.</span>
          <OperatorSignIn />
        </div>
      )}
      {isWrong && (
        <FaultSummary
          focus={summary}
          fault={told.value?.fault}
          byField={placed.value.byField}
          elsewhere={placed.value.elsewhere}
          onShow={() => (view.value = "form")}
        />
      )}

      <form
        class="task-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!sending.peek()) void send();
        }}
      >
        {view.value === "json" ? (
          <Panel title="The task as JSON">
            <div class="field">
              <label for="task-json">As in a task file; what is left out has its usual value</label>
              <textarea
                id="task-json"
                class="input mono text-area"
                rows={24}
                spellcheck={false}
                aria-invalid={unread.value !== undefined}
                aria-describedby="task-json-fault"
                value={text}
                onInput={({ currentTarget }) => changeText(currentTarget.value)}
              />
              <p id="task-json-fault" class="small error-text" role="status">
                {unread.value === undefined ? "" : `It cannot be read yet: ${unread.value}`}
              </p>
            </div>
          </Panel>
        ) : unread.value !== undefined ? (
          <p class="note">
            The JSON cannot be read yet, so the form would show something else: {unread.value}
          </p>
        ) : (
          taskSections.map(({ title, about, fields }, i) => (
            <Panel key={title} title={title}>
              {about !== undefined && <p class="small soft">{about}</p>}
              <div class="field-grid">
                {fields.map((field) => (
                  <FieldView
                    key={field.path}
                    field={field}
                    draft={draft.value}
                    faults={placed.value.byField}
                    onChange={change}
                  />
                ))}
                {i === 0 && (
                  <ModelField
                    draft={draft.value}
                    weights={weights.value}
                    faults={placed.value.byField}
                    onChange={change}
                    onWeights={(next) => (weights.value = next)}
                  />
                )}
              </div>
            </Panel>
          ))
        )}
        <div class="row form-foot">
          <button
            type="submit"
            class="button button-primary"
            disabled={sending.value || against !== undefined}
          >
            {sending.value ? "Creating …" : "Create the task"}
          </button>
          <span class="small soft">It starts at once, as soon as enough clients wait.</span>
        </div>
      </form>
    </>
  );
}
