/** The model of a new task: its tensors as JSON, and its first weights, which zeros stand in for. */

import { useSignal } from "@preact/signals";

import { counted } from "../model/format.ts";
import { FieldFrame, describedBy, fieldId } from "./field-view.tsx";
import type { InitialWeights } from "./initial-weights.ts";
import { readModel, weightsFromFile } from "./initial-weights.ts";
import type { Draft } from "./task-draft.ts";
import { parameterCount, valueAt, withValue } from "./task-draft.ts";

const TENSORS = "model.tensors";
const WEIGHTS = "initialWeights";
const TENSORS_HINT =
  'What describeModel gives, as JSON, or its tensors alone: [{ "name": "dense/kernel", "shape": [784, 10] }].';
const WEIGHTS_HINT =
  "A checkpoint, or little-endian float32 values in layout order. Without a file the model begins with zeros. A file is not kept over a reload.";

export interface ModelFieldProps {
  readonly draft: Draft;
  readonly weights: InitialWeights | undefined;
  readonly faults: ReadonlyMap<string, string>;
  readonly onChange: (draft: Draft) => void;
  readonly onWeights: (weights: InitialWeights | undefined) => void;
}

export function ModelField({ draft, weights, faults, onChange, onWeights }: ModelFieldProps) {
  const typed = useSignal<{ readonly text: string; readonly tensors: unknown } | undefined>(
    undefined,
  );
  const unread = useSignal<string | undefined>(undefined);
  const badFile = useSignal<string | undefined>(undefined);
  const tensors = valueAt(draft, TENSORS);
  const text =
    typed.value !== undefined && typed.value.tensors === tensors
      ? typed.value.text
      : Array.isArray(tensors) && tensors.length > 0
        ? tensorsText(tensors)
        : "";
  const fault = unread.value ?? faults.get(TENSORS);
  const parameters = parameterCount(draft);
  const wanted = 4 * parameters;
  const weightsFault =
    badFile.value ??
    faults.get(WEIGHTS) ??
    (weights !== undefined && weights.bytes.length !== wanted
      ? `from ${weights.name} are ${counted(weights.bytes.length / 4, "value")}, and the model has ${counted(parameters, "parameter")}`
      : undefined);

  const take = (next: string) => {
    if (next.trim() === "") {
      unread.value = undefined;
      const none: readonly unknown[] = [];
      typed.value = { text: next, tensors: none };
      onChange(withValue(draft, TENSORS, none));
      return;
    }
    try {
      const { tensors: read, weights: pasted } = readModel(next);
      unread.value = undefined;
      typed.value = { text: next, tensors: read };
      onChange(withValue(draft, TENSORS, read));
      if (pasted !== undefined) onWeights(pasted);
    } catch (error) {
      // What it was before stays in the task, and the text stays to be mended.
      typed.value = { text: next, tensors };
      unread.value = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    }
  };
  const choose = async (file: File | undefined) => {
    badFile.value = undefined;
    if (file === undefined) {
      onWeights(undefined);
      return;
    }
    try {
      onWeights(weightsFromFile(file.name, new Uint8Array(await file.arrayBuffer())));
    } catch (error) {
      onWeights(undefined);
      badFile.value = error instanceof Error ? error.message : String(error);
    }
  };

  return (
    <>
      <FieldFrame path={TENSORS} label="Tensors" fault={fault} hint={TENSORS_HINT} required wide>
        <textarea
          id={fieldId(TENSORS)}
          class="input mono text-area"
          rows={5}
          spellcheck={false}
          aria-required
          aria-invalid={fault !== undefined}
          aria-describedby={describedBy(TENSORS, fault, TENSORS_HINT)}
          value={text}
          onInput={({ currentTarget }) => take(currentTarget.value)}
        />
        {parameters > 0 && <p class="small">{counted(parameters, "parameter")}</p>}
      </FieldFrame>
      <FieldFrame
        path={WEIGHTS}
        label="First weights"
        fault={weightsFault}
        hint={WEIGHTS_HINT}
        required={false}
        wide
      >
        <input
          id={fieldId(WEIGHTS)}
          class="input file-input"
          type="file"
          aria-invalid={weightsFault !== undefined}
          aria-describedby={describedBy(WEIGHTS, weightsFault, WEIGHTS_HINT)}
          onChange={({ currentTarget }) => void choose(currentTarget.files?.[0])}
        />
        {weights !== undefined && weightsFault === undefined && (
          <p class="small">
            {counted(weights.bytes.length / 4, "value")} from {weights.name}
          </p>
        )}
      </FieldFrame>
    </>
  );
}

/** A line for each tensor. */
const tensorsText = (tensors: readonly unknown[]): string =>
  `[\n${tensors.map((tensor) => `  ${JSON.stringify(tensor)}`).join(",\n")}\n]`;
