/**
 * Sorting networks: fixed lists of exchanges, the same whatever the values, so that many columns can go through them
 * side by side. Batcher's odd-even merge sort (1968), without what the ranks in question do not need.
 */

/** Rows of an exchange: the smaller value goes to the first. */
export type Exchange = readonly [number, number];

/** An exchange sort of `rows` values in ascending order (Knuth, volume 3, 5.2.2, algorithm M). */
export function batcherNetwork(rows: number): Exchange[] {
  const network: Exchange[] = [];
  if (rows < 2) return network;
  const top = 2 ** (Math.ceil(Math.log2(rows)) - 1);
  for (let p = top; p >= 1; p /= 2) {
    let q = top;
    let r = 0;
    let d = p;
    for (;;) {
      for (let i = 0; i < rows - d; i++) if ((i & p) === r) network.push([i, i + d]);
      if (q === p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return network;
}

/**
 * The network that brings the values of ranks `trim` to rows - trim - 1 to these rows, in whatever order: for their mean
 * it does not matter. Seen from its end, an exchange goes where nothing of it is asked for, and where both of its rows
 * are asked for only as parts of the sum.
 */
export function middleNetwork(rows: number, trim: number): Exchange[] {
  const network = batcherNetwork(rows);
  const wanted = Array.from({ length: rows }, (_, row): "no" | "summed" | "placed" =>
    row >= trim && row < rows - trim ? "summed" : "no",
  );
  const kept: Exchange[] = [];
  for (const [a, b] of network.reverse()) {
    if (wanted[a] === wanted[b] && wanted[a] !== "placed") continue;
    wanted[a] = wanted[b] = "placed";
    kept.push([a, b]);
  }
  return kept.reverse();
}
