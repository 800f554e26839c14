/** One field of the form: label, input, hint, and what is wrong with it. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import type { Draft } from "./task-draft.ts";
import { optionOf, typedValue, valueAt, withOption, withValue } from "./task-draft.ts";
import type { ChoiceField, Field, PlainField } from "./task-fields.ts";

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
  return field.kind === "choice" ? (
    <ChoiceView {...props} field={field} />
  ) : (
    <PlainView {...props} field={field} />
  );
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
  const fault = faults.get(path);
  return (
    <>
      <FieldFrame {...{ path, label, fault, hint, required: false }} wide>
        <select
          id={fieldId(path)}
          class="input"
          aria-invalid={fault !== undefined}
          aria-describedby={describedBy(path, fault, hint)}
          value={String(option === undefined ? "" : options.indexOf(option))}
          onChange={({ currentTarget }) => {
            const chosen = options[Number(currentTarget.value)];
            onChange(withOption(draft, field, chosen?.value));
          }}
        >
          {option === undefined && <option value="">Not known to this form: see the JSON</option>}
          {options.map((each, i) => (
            <option key={each.label} value={String(i)}>
              {each.label}
            </option>
          ))}
        </select>
      </FieldFrame>
      {(option?.fields ?? []).map((inner) => (
        <FieldView key={`${option?.value ?? ""} ${inner.path}`} {...props} field={inner} />
      ))}
    </>
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
