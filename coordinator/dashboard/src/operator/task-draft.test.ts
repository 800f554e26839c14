import { FederatedError } from "@tributary/protocol";
import { TaskSpecInputSchema } from "@tributary/protocol/schema";
import { Compile } from "typebox/compile";
import { expect, test } from "vitest";

import type { Draft } from "./task-draft.ts";
import {
  draftText,
  faultsNamed,
  faultsOf,
  fieldOf,
  NEW_DRAFT,
  optionOf,
  parseDraft,
  parameterCount,
  pickOf,
  shownPaths,
  typedValue,
  valueAt,
  withOption,
  withPick,
  withValue,
} from "./task-draft.ts";
import type { ChoiceField, Field, PickField, PlainField } from "./field-kinds.ts";
import { jsonOnly, taskSections } from "./task-fields.ts";

const schema = Compile(TaskSpecInputSchema);
const tensors = [{ name: "w", shape: [3, 2] }];
const good = withValue(withValue(NEW_DRAFT, "taskId", "digits"), "model.tensors", tensors);
const allFields = taskSections.flatMap(({ fields }) => fields);
const choices = allFields.filter((field): field is ChoiceField => field.kind === "choice");

/** A value that a field takes. */
const sample = ({ kind, path, below }: PlainField): unknown => {
  if (kind === "text") return path === "taskId" ? "digits" : "some text";
  return kind === "integer" ? 5 : below === 1 ? 0.25 : 0.5;
};
const filled = (draft: Draft, fields: readonly Field[]): Draft =>
  fields.reduce(
    (next, field) =>
      field.kind === "choice"
        ? next
        : field.kind === "pick"
          ? withPick(next, field, field.options.length - 1)
          : withValue(next, field.path, sample(field)),
    draft,
  );

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly anyOf?: readonly Shape[];
}
/** Every place in a task that may hold a value of its own. */
function placesIn({ properties, anyOf }: Shape, path = ""): readonly string[] {
  const inner = (anyOf ?? []).flatMap((each) => placesIn(each, path));
  if (properties === undefined) return anyOf === undefined || inner.length === 0 ? [path] : inner;
  const own = Object.entries(properties).flatMap(([name, each]) =>
    placesIn(each, path === "" ? name : `${path}.${name}`),
  );
  return [...inner, ...own];
}
/** What a field and all that may stand within it write. */
const writtenBy = (field: Field): readonly string[] =>
  field.kind === "choice"
    ? [
        `${field.path}.${field.by}`,
        ...field.options.flatMap(({ fields = [] }) => fields.flatMap(writtenBy)),
      ]
    : [field.path];

test("[DB62] every field and every option that the form has is one that the coordinator takes", () => {
  const plain = filled(good, allFields);
  expect(schema.Check(plain), draftText(plain)).toBe(true);
  let count = 0;
  for (const choice of choices) {
    for (const { value, fields = [] } of choice.options) {
      const draft = filled(withOption(plain, choice, value), fields);
      expect(schema.Check(draft), draftText(draft)).toBe(true);
      expect(faultsOf(draft), draftText(draft)).toEqual([]);
      expect(optionOf(draft, choice)?.value).toBe(value);
      count += 1;
    }
  }
  expect(count).toBeGreaterThan(30);
});

test("[DB66] every value of a task has its field, or the form says that it is written as JSON", () => {
  const form = new Set([...allFields.flatMap(writtenBy), "model.tensors"]);
  const places = [...new Set(placesIn(TaskSpecInputSchema as Shape))];
  const isWithin = (place: string) => (each: string) =>
    place === each || place.startsWith(`${each}.`);
  expect(places.filter((place) => !form.has(place) && !jsonOnly.some(isWithin(place)))).toEqual([]);
  expect([...form].filter((path) => !places.includes(path))).toEqual([]);
  expect(jsonOnly.filter((each) => !places.some((place) => isWithin(place)(each)))).toEqual([]);
  const said = taskSections.map(({ about }) => about).join(" ");
  expect(said).toContain("Adaptive clipping, and another matrix than the best for the run");
  expect(places.length).toBeGreaterThan(50);
});

test("[EC14] the form of a task shows what is usual of the rest of a share: kept with topK, forgotten with randomK", () => {
  const encoding = allFields.find((field): field is ChoiceField => field.path === "plan.encoding")!;
  for (const [kind, usual, other] of [
    ["topK", "Kept for the next update", false] as const,
    ["randomK", "Forgotten", true] as const,
  ]) {
    const draft = withOption(good, encoding, kind);
    const feedback = optionOf(draft, encoding)?.fields?.find(
      (field): field is PickField => field.path === "plan.encoding.feedback",
    );
    expect(feedback?.options[pickOf(draft, feedback)]?.label).toBe(usual);
    expect(valueAt(withPick(draft, feedback!, 1), "plan.encoding.feedback")).toBe(other);
  }
});

test("[DB66] a task that says all that is usual can be opened in the form, and nothing is wrong with it", () => {
  const usual = {
    ...good,
    plan: {
      optimizer: { kind: "sgd" },
      encoding: { kind: "topK", fraction: 0.1, values: "int8", feedback: true },
      compression: "none",
    },
    aggregation: { kind: "mean" },
    privacy: { mechanism: "none" },
    evaluation: { kind: "none" },
    serving: { encodings: ["int8", "bfloat16"] },
  };
  expect(schema.Check(usual)).toBe(true);
  expect(faultsOf(usual)).toEqual([]);
  expect(faultsOf({ ...usual, plan: { encoding: { kind: "float32" } } })).toEqual([]);
  const serving = allFields.find(
    (field): field is PickField => field.path === "serving.encodings",
  )!;
  expect(serving.options[pickOf(usual, serving)]?.label).toBe("bfloat16 and int8");
  expect(withPick(usual, serving, 0)).not.toHaveProperty("serving");
  const unknown = { ...usual, serving: { encodings: ["int4"] } };
  expect(pickOf(unknown, serving)).toBe(-1);
  expect(faultsOf(unknown)[0]).toMatchObject({ path: "serving.encodings" });
});

test("[DB62] a new draft lacks its name and its model, and nothing else", () => {
  expect(faultsOf(NEW_DRAFT).map(({ path }) => path)).toEqual(["taskId", "model.tensors"]);
  expect(faultsOf(good)).toEqual([]);
  expect(parseDraft(draftText(good))).toEqual(good);
  for (const text of ["", "[1]", "null", "7", "{"]) expect(() => parseDraft(text)).toThrow();
  const deep = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
  expect(() => parseDraft(deep)).toThrow("too deeply");
});

test("[DB62] what a form does not know stays as the JSON has it", () => {
  const adaptiveClipping = { targetQuantile: 0.5 };
  const written = { ...good, privacy: { mechanism: "central", adaptiveClipping }, more: [1, 2] };
  const changed = withValue(written, "privacy.delta", 1e-5);
  expect(changed).toEqual({ ...written, privacy: { ...written.privacy, delta: 1e-5 } });
  expect(withValue(changed, "privacy.delta", undefined)).toEqual(written);
  const unknown = withValue(good, "sampler.kind", "bySize");
  const sampler = choices.find(({ path }) => path === "sampler")!;
  expect(optionOf(unknown, sampler)).toBeUndefined();
  expect(faultsOf(unknown)).toEqual([
    { path: "sampler", message: "kind must be one of all, uniform, poisson" },
  ]);
});

test("[DB62] an emptied field is left out, and with it an object that is empty then", () => {
  const written = withValue(good, "plan.optimizer.momentum", 0.5);
  expect(written.plan).toEqual({ optimizer: { momentum: 0.5 } });
  expect(withValue(written, "plan.optimizer.momentum", undefined)).toEqual(good);
});

test("[DB62] another option keeps the values that it shares and drops the others", () => {
  const privacy = choices.find(({ path }) => path === "privacy")!;
  const matrix = filled(withOption(good, privacy, "matrix"), privacy.options[3]!.fields!);
  const central = withOption(matrix, privacy, "central");
  expect(central.privacy).toEqual({
    ...{ mechanism: "central", noiseMultiplier: 0.5, delta: 0.25, maxEpsilon: 0.5 },
  });
  expect(withOption(central, privacy, undefined)).toEqual(good);
});

test("[DB63] what is typed is a number only where it is one, and told at its field otherwise", () => {
  const fault = (path: string, value: unknown) =>
    faultsOf(withValue(good, path, value)).find((each) => each.path === path)?.message;
  expect(typedValue({ kind: "number" }, "1e-5")).toBe(1e-5);
  expect(typedValue({ kind: "number" }, "1,5")).toBe("1,5");
  expect(typedValue({ kind: "number" }, "Infinity")).toBe("Infinity");
  expect(typedValue({ kind: "integer" }, "  ")).toBeUndefined();
  expect(typedValue({ kind: "text" }, "12")).toBe("12");
  expect(fault("plan.epochs", "1,5")).toBe("must be a number");
  expect(fault("plan.epochs", 1.5)).toBe("must be a whole number");
  expect(fault("plan.epochs", 0)).toBe("must be at least 1");
  expect(fault("plan.learningRate", 0)).toBe("must be above 0");
  expect(fault("taskId", "Digits")).toContain("lower-case");
  expect(fault("taskId", "")).toBe("is needed");
  expect(fault("sampler.cohortSize", undefined)).toBe("is needed");
  expect(fault("model.tensors", [{ name: "w", shape: [0] }])).toContain("number 1");
  expect(fault("model.tensors", "w")).toContain("at least one");
  expect(parameterCount(good)).toBe(6);
});

test("[DB63] faults that the coordinator names stand at their fields, or at the nearest around", () => {
  const rules = new FederatedError("CONFIG_INVALID", "the task is not valid", {
    details: { faults: [{ path: "schedule.minReports", message: "is 9, above 3" }] },
  });
  const pointer = new FederatedError("MALFORMED_MESSAGE", "body is not valid", {
    details: { faults: [{ path: "/spec/model/tensors/0/shape", message: "must be an array" }] },
  });
  expect(faultsNamed(rules)).toEqual([{ path: "schedule.minReports", message: "is 9, above 3" }]);
  expect(faultsNamed(pointer)[0]?.path).toBe("model.tensors.0.shape");
  expect(faultsNamed(new FederatedError("TASK_EXISTS", "it exists"))[0]?.path).toBe("taskId");
  expect(faultsNamed(new FederatedError("UNAVAILABLE", "later"))).toEqual([]);
  const shown = shownPaths(good);
  expect(fieldOf("schedule.minReports", shown)).toBe("schedule.minReports");
  expect(fieldOf("model.tensors.0.shape", shown)).toBe("model.tensors");
  expect(fieldOf("sampler.seed", shown)).toBe("sampler.seed");
  expect(fieldOf("sampler.population", shown)).toBe("sampler");
  expect(fieldOf("strange", shown)).toBeUndefined();
  expect(valueAt(good, "sampler.cohortSize")).toBe(10);
});
