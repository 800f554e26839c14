/** Work on long vectors in pieces, so that whoever runs it can give others their turns. */

export interface Piecewise {
  /** Elements in all. */
  readonly length: number;
  /** Does the elements from `from` to `to`, `to` exclusive; `from` is a multiple of 1 024. Any order, each once. */
  run(from: number, to: number): void;
  /** What is made: whole once all is done. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** About a millisecond of work. */
const PIECE = 2 ** 17;

/** Runs all of it, with `turn` after each piece. @returns what was made */
export async function inPieces(
  work: Piecewise,
  turn: () => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < work.length; at += PIECE) {
    work.run(at, Math.min(work.length, at + PIECE));
    await turn();
  }
  return work.bytes;
}
