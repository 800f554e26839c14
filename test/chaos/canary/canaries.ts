/** Values that cannot be there by chance, and every form in which a leak could show them. */

import { createHash } from "node:crypto";

import type { Random } from "../../support/random.ts";

export interface Canary {
  /** Whose and what, for the message of a test that fails. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** Numbers around 7000 with a fraction: six digits of one are in no other text. */
export const canaryVector = (random: Random, length: number): Float32Array<ArrayBuffer> =>
  new Float32Array(length).map(() => 7_000 + 1_000 * random.next());

const text = (name: string, value: string): Canary => ({ name, bytes: Buffer.from(value) });

/** A number as people and programs write it, and as the machine keeps it. */
export function formsOfNumber(name: string, value: number): Canary[] {
  const double = Buffer.alloc(8);
  double.writeDoubleLE(value);
  const texts = [value.toPrecision(7), value.toPrecision(9), String(value), value.toExponential(6)];
  return [
    { name: `${name} as float64`, bytes: double },
    { name: `${name} as float64, big-endian`, bytes: Buffer.from(double).reverse() },
    ...[...new Set(texts)].map((written) => text(`${name} as "${written}"`, written)),
  ];
}

/** Bytes in themselves, and as hexadecimal and base64, also in the middle of longer ones. */
export function formsOfBytes(name: string, bytes: Uint8Array): Canary[] {
  const own = Buffer.from(bytes);
  // Base64 has three alignments; the characters at the edges depend on the neighbours. Of few bytes too few
  // characters are left to be nobody else's.
  const base64 = (own.length < 16 ? [] : [0, 1, 2]).map((shift) => {
    const text64 = Buffer.concat([Buffer.alloc(shift), own]).toString("base64");
    return text64.slice(4, 4 * Math.floor((shift + own.length) / 3));
  });
  const written = [own.toString("hex"), own.toString("hex").toUpperCase(), ...base64];
  return [
    { name, bytes: own },
    ...written.flatMap((form) => [
      text(`${name} as ${form.slice(0, 12)}…`, form),
      ...(/[+/]/.test(form)
        ? [text(`${name} in base64url`, form.replaceAll("+", "-").replaceAll("/", "_"))]
        : []),
    ]),
  ];
}

/** A vector: every number of it, and every two neighbours as they lie in a frame (one alone is too short). */
export function formsOfVector(name: string, vector: Float32Array): Canary[] {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const numbers = [...vector].flatMap((value, i) => [
    ...formsOfNumber(`${name}[${i}]`, value),
    ...(i === 0
      ? []
      : formsOfBytes(`${name}[${i - 1}..${i}]`, bytes.subarray(4 * (i - 1), 4 * (i + 1)))),
  ]);
  return [...numbers, ...formsOfBytes(name, bytes)];
}

/** The digest of an update would tell whoever can guess it that the guess is right. */
export const formsOfDigest = (name: string, frame: Uint8Array): Canary[] =>
  formsOfBytes(`${name}, its SHA-256`, createHash("sha256").update(frame).digest());

/** A secret text, and the bytes that it stands for. */
export const formsOfSecret = (name: string, secret: string): Canary[] => [
  text(name, secret),
  ...formsOfBytes(`${name}, its bytes`, Buffer.from(secret, "base64url")),
];

/** A search for all canaries in one pass: thousands of them, in megabytes of files. */
export function createSearch(
  canaries: readonly Canary[],
): (where: string, bytes: Buffer) => string[] {
  const byPrefix = new Map<number, Canary[]>();
  for (const canary of canaries) {
    const prefix = canary.bytes.readUInt32LE(0);
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), canary]);
  }
  return (where, bytes) => {
    const names: string[] = [];
    for (let at = 0; at + 4 <= bytes.length; at++) {
      for (const { name, bytes: wanted } of byPrefix.get(bytes.readUInt32LE(at)) ?? []) {
        if (bytes.subarray(at, at + wanted.length).equals(wanted)) names.push(`${where}: ${name}`);
      }
    }
    return names;
  };
}
