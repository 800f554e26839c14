/** A count of distinct hashes in 4 KB however many they are: HyperLogLog (Flajolet et al. 2007). */

/** Two to the power of BITS registers: within 1.6 % (one standard error). */
const BITS = 12;
const REGISTERS = 2 ** BITS;
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS);

export interface Sketch {
  /** @param hash two words of 32 bits, evenly distributed */
  add(hash: readonly [number, number]): void;
  /** All that `other` has. */
  addAll(other: Sketch): void;
  /** Distinct hashes. */
  estimate(): number;
  readonly registers: Uint8Array;
}

export function createSketch(): Sketch {
  const registers = new Uint8Array(REGISTERS);
  /** Registers that are empty, and the sum of 2^-rank over all of them, which is exact. */
  let empty = REGISTERS;
  let sum = REGISTERS;

  function raise(index: number, rank: number): void {
    const before = registers[index] ?? 0;
    if (rank <= before) return;
    registers[index] = rank;
    sum += 2 ** -rank - 2 ** -before;
    if (before === 0) empty -= 1;
  }

  return {
    registers,
    add: ([first, second]) => raise(first >>> (32 - BITS), Math.clz32(second) + 1),
    addAll: (other) => other.registers.forEach((rank, index) => raise(index, rank)),
    estimate: () => {
      const raw = (ALPHA * REGISTERS ** 2) / sum;
      // Few leave registers empty, which tells their number better.
      return raw <= 2.5 * REGISTERS && empty > 0 ? REGISTERS * Math.log(REGISTERS / empty) : raw;
    },
  };
}
