/**
 * Krum and multi-Krum (Blanchard et al. 2017, "Machine Learning with Adversaries", section 4): of each update the score
 * is the sum of its squared distances to the n - f - 2 nearest others; the updates with the least scores are averaged.
 */

/**
 * @param pairs squared distances of updates i > j, at place i (i - 1) / 2 + j
 * @returns the indices of the `select` updates with the least scores, in ascending order; of equal scores the first
 * @throws RangeError when so many have no finite score
 */
export function krumSelection(
  pairs: Float64Array,
  rows: number,
  { byzantine, select }: { readonly byzantine: number; readonly select: number },
): number[] {
  const scores = krumScores(pairs, rows, byzantine);
  const order = [...scores.keys()].sort((a, b) => {
    const [x, y] = [scores[a] as number, scores[b] as number];
    // Infinity - Infinity is no number.
    return x === y ? a - b : x - y;
  });
  const chosen = order.slice(0, select);
  if (chosen.length < select || !chosen.every((row) => Number.isFinite(scores[row]))) {
    throw new RangeError(`no ${select} of ${rows} updates have a finite distance to others`);
  }
  return chosen.sort((a, b) => a - b);
}

export function krumScores(pairs: Float64Array, rows: number, byzantine: number): Float64Array {
  const nearest = rows - byzantine - 2;
  const scores = new Float64Array(rows);
  const distances = new Float64Array(rows - 1);
  for (let i = 0; i < rows; i++) {
    let at = 0;
    for (let j = 0; j < rows; j++) if (j !== i) distances[at++] = pairs[pairIndex(i, j)] as number;
    distances.sort();
    let score = 0;
    for (let k = 0; k < nearest; k++) score += distances[k] as number;
    scores[i] = score;
  }
  return scores;
}

export function pairIndex(a: number, b: number): number {
  const [i, j] = a > b ? [a, b] : [b, a];
  return (i * (i - 1)) / 2 + j;
}
