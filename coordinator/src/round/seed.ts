/** Seeds of experiments that can be repeated. Nothing under privacy is ever seeded. */

/** A 32-bit seed of its own for each round of a seeded task. */
export function mixSeed(seed: number, roundNumber: number): number {
  return (Math.imul(seed, 0x9e3779b1) + Math.imul(roundNumber, 0x85ebca6b)) >>> 0;
}
