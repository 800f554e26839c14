/** What lying clients send. They know what the honest ones of their round send, and agree among themselves. */

export interface Attack {
  readonly name: string;
  readonly about: string;
  /** What a liar takes a digit for when it trains. */
  readonly labelOf: (digit: number) => number;
  /**
   * @param own what the liar has trained, by `labelOf`
   * @param honest the updates of this round's honest clients
   * @param reports of this round, liars included
   */
  readonly lie: (
    own: Float32Array,
    honest: readonly Float32Array[],
    reports: number,
  ) => Float32Array;
}

const truly = (digit: number) => digit;
const flipped = (digit: number) => 9 - digit;
const times = (vector: Float32Array, factor: number) => vector.map((value) => factor * value);

export const ATTACKS: readonly Attack[] = [
  { name: "none", about: "all are honest", labelOf: truly, lie: (own) => own },
  {
    name: "label flip",
    about: "liars train on 9 - digit and send what comes out",
    labelOf: flipped,
    lie: (own) => own,
  },
  {
    name: "sign flip",
    about: "liars send what they have trained, times -1",
    labelOf: truly,
    lie: (own) => times(own, -1),
  },
  {
    name: "scaled",
    about: "liars train on 9 - digit and send it times 10",
    labelOf: flipped,
    lie: (own) => times(own, 10),
  },
  {
    name: "ALIE",
    about:
      "a little is enough (Baruch et al. 2019): all liars send mean - z * deviation of the honest updates, z by their formula",
    labelOf: truly,
    lie: (_own, honest, reports) => littleIsEnough(honest, alieZ(reports, reports - honest.length)),
  },
  {
    name: "ALIE, z 1.5",
    about: "the same with z = 1.5, which is easier to see",
    labelOf: truly,
    lie: (_own, honest) => littleIsEnough(honest, 1.5),
  },
];

/**
 * The largest z at which as many honest updates are expected to be farther out as liars need for a majority: the
 * quantile of (n - f - s) / (n - f), s = floor(n / 2 + 1) - f (Baruch et al. 2019, algorithm 3).
 */
export function alieZ(reports: number, liars: number): number {
  const honest = reports - liars;
  const supporters = Math.floor(reports / 2 + 1) - liars;
  return normalQuantile((honest - supporters) / honest);
}

function littleIsEnough(honest: readonly Float32Array[], z: number): Float32Array {
  const n = honest.length;
  const lie = new Float32Array(honest[0]?.length ?? 0);
  for (let i = 0; i < lie.length; i++) {
    let sum = 0;
    let squares = 0;
    for (const update of honest) {
      const value = update[i] as number;
      sum += value;
      squares += value * value;
    }
    const mean = sum / n;
    lie[i] = mean - z * Math.sqrt(Math.max(0, squares / n - mean * mean));
  }
  return lie;
}

/** By bisection of the distribution function, which is an integral by Simpson's rule. */
export function normalQuantile(probability: number): number {
  let [low, high] = [-8, 8];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function normalCdf(x: number): number {
  const steps = 200;
  const h = x / steps;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density(i * h) * (i % 2 === 0 ? 2 : 4);
  return 0.5 + (sum * h) / 3;
}
