/** Payloads of updates: how a vector becomes bytes, and which bytes are one. */

export * from "./format.ts";
export * from "./rounding.ts";
export * from "./payload.ts";
export { hash32 } from "./indices.ts";
export { seededBits } from "./seeded-bits.ts";
