/**
 * What a section of `npm run bench` is: it measures, beside its outside references, and judges nothing by itself. It
 * runs from source in a process of its own, and may import any file of the packages. `measure.ts` has the clock.
 */

/** One measured case, or a reference of the same run. */
export interface Row {
  /** "float32, 1 M parameters". */
  readonly name: string;
  /** Not ours: what it is compared with. */
  readonly isReference?: boolean;
  /** By unit, in the order of the table: { "ms CPU": …, "MB/s": … }; each a median with its spread. */
  readonly values: Readonly<Record<string, Spread | number | string>>;
}

/** Of several runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Something that was aimed at, and what came of it. */
export interface Goal {
  /** "full ingest of 4 MB, CPU, against a bare HTTP discard". */
  readonly name: string;
  /** "at most 1.3". */
  readonly aim: string;
  readonly measured: number;
  readonly isReached: boolean;
}

export interface SectionResult {
  readonly rows: readonly Row[];
  readonly goals?: readonly Goal[];
  /** What a reader must know of how it was measured; and what is missing here, and why. */
  readonly notes?: readonly string[];
}

export interface Section {
  /** As in `--section NAME`, and its heading. */
  readonly name: string;
  readonly title: string;
  /** @param mini in seconds, to see that it runs */
  run(mini: boolean): Promise<SectionResult>;
}
