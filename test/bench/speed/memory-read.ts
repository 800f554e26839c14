/** A bare read of the updates of a round in C: nothing that looks at each of their bytes can be faster. */

import type { Reference } from "./reference-process.ts";
import { startC } from "./reference-process.ts";

/**
 * Reads as many bytes as `updates` vectors of `parameters` float32 numbers have, from memory of its own.
 * @returns undefined where there is no compiler
 */
export const startMemoryRead = (size: {
  readonly updates: number;
  readonly parameters: number;
}): Promise<Reference | undefined> => startC(READ, [`${size.updates}`, `${size.parameters}`]);

const READ = `
#include <stdint.h>
#include <stdlib.h>
static const char *name = "memory read (C)";
static uint64_t *words;
static size_t count;
static volatile uint64_t sink;
static void prepare(int argc, char **argv) {
  count = (size_t)atoll(argv[1]) * (size_t)atoll(argv[2]) / 2;
  words = malloc(8 * count);
  for (size_t i = 0; i < count; i++) words[i] = i * 0x9e3779b97f4a7c15u;
}
static void turn(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum ^= words[i];
  sink = sum;
}
`;
