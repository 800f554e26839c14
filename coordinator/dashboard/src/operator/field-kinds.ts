/** The kinds of fields that a form of a task is made of. */

/** A value of its own. */
export interface PlainField {
  readonly kind: "text" | "integer" | "number";
  /** Its place in the task: `plan.epochs`. */
  readonly path: string;
  readonly label: string;
  readonly required?: true;
  /** What holds when it is left empty. */
  readonly usual?: string;
  readonly hint?: string;
  /** Bounds of numbers; `above` and `below` are left out themselves. */
  readonly min?: number;
  readonly above?: number;
  readonly below?: number;
  readonly max?: number;
}

/** One of a few values, none of which needs typing. */
export interface PickField {
  readonly kind: "pick";
  readonly path: string;
  readonly label: string;
  readonly hint?: string;
  /** The first one holds when nothing is written, and is not written. */
  readonly options: readonly {
    readonly value: string | boolean | readonly string[];
    readonly label: string;
  }[];
}

/** One of several forms of an object, told apart by one of its properties. */
export interface ChoiceField {
  readonly kind: "choice";
  readonly path: string;
  readonly label: string;
  readonly hint?: string;
  /** The property that tells them apart. */
  readonly by: "kind" | "mechanism" | "metric";
  /** What stands there where the first option is written out: it is what holds when nothing is. */
  readonly usual?: string;
  readonly options: readonly Option[];
}

export interface Option {
  /** Of the property; undefined leaves the whole object out. */
  readonly value: string | undefined;
  readonly label: string;
  readonly fields?: readonly Field[];
}

export type Field = PlainField | PickField | ChoiceField;

export interface Section {
  readonly title: string;
  readonly about?: string;
  readonly fields: readonly Field[];
}

export const count = (path: string, label: string, more: Partial<PlainField> = {}): PlainField => ({
  ...{ kind: "integer", path, label, min: 1 },
  ...more,
});
export const positive = (
  path: string,
  label: string,
  more: Partial<PlainField> = {},
): PlainField => ({
  ...{ kind: "number", path, label, above: 0 },
  ...more,
});
export const decay = (path: string, label: string, usual: string): PlainField => ({
  ...{ kind: "number", path, label, usual, min: 0, below: 1 },
});
/** Not written without a reason: experiments that are to be repeated have one. */
export const seed = (path: string, hint: string): PlainField => ({
  ...{ kind: "integer", path, label: "Seed", usual: "chance", min: 0, hint },
});
export const required = true as const;
export const span = (path: string, label: string, usual: string, more: Partial<PlainField> = {}) =>
  count(path, `${label} (ms)`, { usual, ...more });
