/** One field of the form: label, input, hint, and what is wrong with it. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import type { Draft } from "./task-draft.ts";
import type { ChoiceField, Field, PickField, PlainField } from "./field-kinds.ts";
import {
  optionOf,
  pickOf,
  typedValue,
  valueAt,
  withOption,
  withPick,
  withValue,
} from "./task-draft.ts";

export interface FieldViewProps<F extends Field = Field> {
  readonly field: F;
  readonly draft: Draft;
  /** Messages by the path of the field. */
  readonly faults: ReadonlyMap<string, string>;
  readonly onChange: (draft: Draft) => void;
}

/** Of the element that is focused for a path. */
export const fieldId = (path: string): string => `field-${path.replaceAll(".", "-")}`;

export function FieldView(props: FieldViewProps) {
  const { field } = props;
  if (field.kind === "choice") return <ChoiceView {...props} field={field} />;
  if (field.kind === "pick") return <PickView {...props} field={field} />;
  return <PlainView {...props} field={field} />;
}

function PlainView({ field, draft, faults, onChange }: FieldViewProps<PlainField>) {
  const { path, label, kind, usual, required, hint } = field;
  const value = valueAt(draft, path);
  // As it was typed, so that "0." stays while its number is 0; until something else changes the value.
  const typed = useSignal("");
  const isAsTyped = typed.value.trim() !== "" && typedValue(field, typed.value) === value;
  const text = isAsTyped ? typed.value : value === undefined ? "" : textOf(value);
  const fault = faults.get(path);
  return (
    <FieldFrame {...{ path, label, fault, hint, required: required === true }}>
      <input
        id={fieldId(path)}
        class={kind === "text" ? "input" : "input number-input"}
        type="text"
        inputMode={kind === "integer" ? "numeric" : kind === "number" ? "decimal" : undefined}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={path === "description"}
        aria-required={required === true}
        aria-invalid={fault !== undefined}
        aria-describedby={describedBy(path, fault, hint)}
        placeholder={usual === undefined ? undefined : `usual: ${usual}`}
        value={text}
        onInput={({ currentTarget }) => {
          typed.value = currentTarget.value;
          onChange(withValue(draft, path, typedValue(field, currentTarget.value)));
        }}
      />
    </FieldFrame>
  );
}

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);

function ChoiceView(props: FieldViewProps<ChoiceField>) {
  const { field, draft, faults, onChange } = props;
  const { path, label, hint, options } = field;
  const option = optionOf(draft, field);
  return (
    <>
      <FieldFrame {...{ path, label, fault: faults.get(path), hint, required: false }} wide>
        <Options
          {...{ path, fault: faults.get(path), hint, options }}
          at={option === undefined ? -1 : options.indexOf(option)}
          onChoose={(i) => onChange(withOption(draft, field, options[i]?.value))}
        />
      </FieldFrame>
      {(option?.fields ?? []).map((inner) => (
        <FieldView key={`${option?.value ?? ""} ${inner.path}`} {...props} field={inner} />
      ))}
    </>
  );
}

function PickView({ field, draft, faults, onChange }: FieldViewProps<PickField>) {
  const { path, label, hint, options } = field;
  const fault = faults.get(path);
  return (
    <FieldFrame {...{ path, label, fault, hint, required: false }}>
      <Options
        {...{ path, fault, hint, options }}
        at={pickOf(draft, field)}
        onChoose={(i) => onChange(withPick(draft, field, i))}
      />
    </FieldFrame>
  );
}

interface OptionsProps {
  readonly path: string;
  readonly fault: string | undefined;
  readonly hint: string | undefined;
  readonly options: readonly { readonly label: string }[];
  /** Below 0: what is written is none of them. */
  readonly at: number;
  readonly onChoose: (index: number) => void;
}

function Options({ path, fault, hint, options, at, onChoose }: OptionsProps) {
  return (
    <select
      id={fieldId(path)}
      class="input"
      aria-invalid={fault !== undefined}
      aria-describedby={describedBy(path, fault, hint)}
      value={at < 0 ? "" : String(at)}
      onChange={({ currentTarget }) => onChoose(Number(currentTarget.value))}
    >
      {at < 0 && <option value="">Not known to this form: see the JSON</option>}
      {options.map(({ label }, i) => (
        <option key={label} value={String(i)}>
          {label}
        </option>
      ))}
    </select>
  );
}

export const describedBy = (
  path: string,
  fault: string | undefined,
  hint: string | undefined,
): string | undefined => {
  const ids = [
    ...(fault === undefined ? [] : [`${fieldId(path)}-fault`]),
    ...(hint === undefined ? [] : [`${fieldId(path)}-hint`]),
  ];
  return ids.length === 0 ? undefined : ids.join(" ");
};

export interface FieldFrameProps {
  readonly path: string;
  readonly label: string;
  readonly fault: string | undefined;
  readonly hint: string | undefined;
  readonly required: boolean;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}

export function FieldFrame(props: FieldFrameProps) {
  const { path, label, fault, hint, required, wide = false, children } = props;
  return (
    <div class={wide ? "field field-wide" : "field"}>
      <label for={fieldId(path)}>
        {label}
        {required && <span class="soft"> (needed)</span>}
      </label>
      {children}
      {fault !== undefined && (
        <p id={`${fieldId(path)}-fault`} class="small error-text">
          {label} {fault}
        </p>
      )}
      {hint !== undefined && (
        <p id={`${fieldId(path)}-hint`} class="small soft">
          {hint}
        </p>
      )}
    </div>
  );
}
