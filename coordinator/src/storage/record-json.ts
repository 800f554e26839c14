/** Records as JSON text that loses nothing: plain JSON would turn NaN and infinities into null, -0 into 0. */

const TAG = "$number";

/** The text of a record. A property that is absent stays absent. */
export function encodeRecord(record: unknown): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === "number" && needsTag(value)
      ? { [TAG]: Object.is(value, -0) ? "-0" : String(value) }
      : value,
  );
}

/** The record of a text that {@link encodeRecord} made. @throws SyntaxError */
export function decodeRecord(text: string): unknown {
  // Hardly a record needs the slower walk.
  if (!text.includes(TAG)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === "object" && value !== null && TAG in value && typeof value[TAG] === "string"
      ? Number(value[TAG])
      : value,
  );
}

const needsTag = (value: number) => !Number.isFinite(value) || Object.is(value, -0);
