/** MT19937 (Matsumoto and Nishimura 1998): the generator with which FLamby's runs were seeded. */

export interface MersenneTwister {
  /** The next 32 random bits. */
  next(): number;
  /** A number in [0, 1) with 24 random bits: what a float32 holds. */
  uniform(): number;
  /** A permutation of 0 … count - 1 (Fisher-Yates). */
  permutation(count: number): number[];
}

const SIZE = 624;

export function createMersenneTwister(seed: number): MersenneTwister {
  const state = new Uint32Array(SIZE);
  state[0] = seed;
  for (let i = 1; i < SIZE; i++) {
    const previous = state[i - 1] as number;
    state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
  }
  let at = SIZE;

  const refill = () => {
    for (let i = 0; i < SIZE; i++) {
      const bits =
        ((state[i] as number) & 0x80000000) | ((state[(i + 1) % SIZE] as number) & 0x7fffffff);
      const twist = (bits & 1) === 1 ? 0x9908b0df : 0;
      state[i] = (state[(i + 397) % SIZE] as number) ^ (bits >>> 1) ^ twist;
    }
    at = 0;
  };

  const next = () => {
    if (at === SIZE) refill();
    let bits = state[at++] as number;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  };
  const uniform = () => (next() & 0xffffff) / 2 ** 24;

  return {
    next,
    uniform,
    permutation: (count) => {
      const order = Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = Math.floor(uniform() * (i + 1));
        [order[i], order[j]] = [order[j] as number, order[i] as number];
      }
      return order;
    },
  };
}
