/** A task that is being written: its fields by path, and what is wrong with them, here and by the coordinator's word. */

import type { FederatedError as Fault } from "@tributary/protocol";
import { isTaskId } from "@tributary/protocol";

import type { ChoiceField, Field, PickField, PlainField } from "./field-kinds.ts";
import { taskSections } from "./task-fields.ts";

export type Draft = Readonly<Record<string, unknown>>;

/** Something wrong at a place: `schedule.minReports`; the empty path is the whole. */
export interface FieldFault {
  readonly path: string;
  readonly message: string;
}

export const NEW_DRAFT: Draft = {
  taskId: "",
  model: { tensors: [] },
  sampler: { kind: "uniform", cohortSize: 10 },
  stop: { maxRounds: 100 },
};

export const draftText = (draft: Draft): string => JSON.stringify(draft, null, 2);

const isObject = (value: unknown): value is Draft =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads a draft from text. @throws Error in words that tell where it is no JSON object */
export function parseDraft(text: string): Draft {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error("a task is an object: { … }");
  // It is read to any depth, and written again only to some.
  try {
    JSON.stringify(value);
  } catch {
    throw new Error("it is nested too deeply");
  }
  return value;
}

export function valueAt(draft: Draft, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), draft);
}

/** The draft with a value at a place; undefined takes it away, and with it an object that is empty then. */
export function withValue(draft: Draft, path: string, value: unknown): Draft {
  const [name = "", ...rest] = path.split(".");
  const current = draft[name];
  const next =
    rest.length === 0 ? value : withValue(isObject(current) ? current : {}, rest.join("."), value);
  const isGone = next === undefined || (rest.length > 0 && isObject(next) && isEmpty(next));
  if (!isGone) return { ...draft, [name]: next };
  return Object.fromEntries(Object.entries(draft).filter(([key]) => key !== name));
}

const isEmpty = (value: Draft): boolean => Object.keys(value).length === 0;

/** What was typed as it stands in the task: a number where it is one, the text itself where it is not yet. */
export function typedValue({ kind }: Pick<PlainField, "kind">, text: string): unknown {
  if (text.trim() === "") return undefined;
  if (kind === "text") return text;
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** The option that a choice stands at; the first for what is no known one. */
export function optionOf(draft: Draft, field: ChoiceField) {
  const value = valueAt(draft, `${field.path}.${field.by}`);
  const found = field.options.find((option) => option.value === value);
  return found ?? (value === undefined || value === field.usual ? field.options[0] : undefined);
}

/** Which value is picked, by its place; -1 where it is none of them. */
export function pickOf(draft: Draft, { path, options }: PickField): number {
  const value = valueAt(draft, path);
  return value === undefined ? 0 : options.findIndex((each) => isSame(each.value, value));
}

/** The draft with another value picked. The first one need not be written. */
export const withPick = (draft: Draft, { path, options }: PickField, index: number): Draft =>
  withValue(draft, path, index === 0 ? undefined : options[index]?.value);

/** Lists are sets here. */
const isSame = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((each) => b.includes(each))
    : a === b;

/** The draft with another option chosen. Values of fields that both options have stay. */
export function withOption(draft: Draft, field: ChoiceField, value: string | undefined): Draft {
  const bare = withValue(draft, field.path, undefined);
  if (value === undefined) return bare;
  const option = field.options.find((each) => each.value === value);
  return (option?.fields ?? []).reduce(
    (next, { path }) => withValue(next, path, valueAt(draft, path)),
    withValue(bare, `${field.path}.${field.by}`, value),
  );
}

/** Everything that is wrong and can be known here. The coordinator knows more. */
export function faultsOf(draft: Draft): readonly FieldFault[] {
  const [first, ...rest] = taskSections.map(({ fields }) =>
    fields.flatMap((field) => fieldFaults(draft, field)),
  );
  // The model stands in the first section.
  return [...(first ?? []), ...modelFaults(draft), ...rest.flat()];
}

function fieldFaults(draft: Draft, field: Field): readonly FieldFault[] {
  if (field.kind === "pick") {
    if (pickOf(draft, field) >= 0) return [];
    const known = field.options.map(({ value }) => JSON.stringify(value)).join(", ");
    return [{ path: field.path, message: `must be one of ${known}` }];
  }
  if (field.kind !== "choice") {
    const message = plainFault(field, valueAt(draft, field.path));
    return message === undefined ? [] : [{ path: field.path, message }];
  }
  const option = optionOf(draft, field);
  if (option !== undefined) {
    return (option.fields ?? []).flatMap((inner) => fieldFaults(draft, inner));
  }
  const known = field.options.flatMap(({ value }) => value ?? []).join(", ");
  return [{ path: field.path, message: `${field.by} must be one of ${known}` }];
}

function plainFault(field: PlainField, value: unknown): string | undefined {
  const { kind, path, required, min, above, below, max } = field;
  if (value === undefined || value === "") return required === true ? "is needed" : undefined;
  if (kind === "text") {
    if (typeof value !== "string") return "must be text";
    if (path !== "taskId" || isTaskId(value)) return undefined;
    return "must be 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen";
  }
  if (typeof value !== "number" || !Number.isFinite(value)) return "must be a number";
  if (kind === "integer" && !Number.isSafeInteger(value)) return "must be a whole number";
  if (min !== undefined && value < min) return `must be at least ${min}`;
  if (above !== undefined && value <= above) return `must be above ${above}`;
  if (below !== undefined && value >= below) return `must be below ${below}`;
  if (max !== undefined && value > max) return `must be at most ${max}`;
  return undefined;
}

const TENSORS = "model.tensors";

function modelFaults(draft: Draft): readonly FieldFault[] {
  const tensors = valueAt(draft, TENSORS);
  if (!Array.isArray(tensors) || tensors.length === 0) {
    return [{ path: TENSORS, message: "needs at least one tensor, with name and shape" }];
  }
  return tensors.flatMap((tensor: unknown, i) =>
    isTensor(tensor)
      ? []
      : [
          {
            path: TENSORS,
            message: `number ${i + 1} must have a name, and a shape of whole numbers`,
          },
        ],
  );
}

const isTensor = (tensor: unknown): boolean =>
  isObject(tensor) &&
  typeof tensor.name === "string" &&
  tensor.name !== "" &&
  Array.isArray(tensor.shape) &&
  tensor.shape.every((size) => Number.isSafeInteger(size) && Number(size) >= 1);

/** Parameters of the tensors that are good; what initial weights must have. */
export function parameterCount(draft: Draft): number {
  const tensors = valueAt(draft, TENSORS);
  if (!Array.isArray(tensors)) return 0;
  return tensors
    .filter(isTensor)
    .reduce<number>(
      (sum, tensor) => sum + (tensor as { shape: number[] }).shape.reduce((size, n) => size * n, 1),
      0,
    );
}

/** The places that a refusal names, as the form calls them. */
export function faultsNamed({ code, message, details }: Fault): readonly FieldFault[] {
  if (code === "TASK_EXISTS") return [{ path: "taskId", message }];
  const faults: readonly unknown[] = Array.isArray(details?.faults) ? details.faults : [];
  return faults.flatMap((fault) => {
    if (!isObject(fault) || typeof fault.path !== "string") return [];
    // A fault of the schema is a pointer into the body, one of the task a path in it.
    const path = fault.path
      .replace(/^\//, "")
      .replaceAll("/", ".")
      .replace(/^spec(\.|$)/, "");
    return [{ path, message: String(fault.message) }];
  });
}

/** The fields that the form shows now, by path. */
export function shownPaths(draft: Draft): readonly string[] {
  const within = (field: Field): readonly string[] =>
    field.kind === "choice"
      ? [field.path, ...(optionOf(draft, field)?.fields ?? []).flatMap(within)]
      : [field.path];
  return [...taskSections.flatMap(({ fields }) => fields.flatMap(within)), TENSORS];
}

/** The field that a fault belongs to: its own, or the nearest around it; undefined where the form has none. */
export function fieldOf(path: string, shown: readonly string[]): string | undefined {
  return shown
    .filter((field) => path === field || path.startsWith(`${field}.`))
    .reduce<string | undefined>(
      (best, field) => (best === undefined || field.length > best.length ? field : best),
      undefined,
    );
}
