/** What a command is given of its surroundings, so that a test can give it others. */

import type { Environment } from "../config/environment.ts";

export interface CliIo {
  /** Results. */
  readonly stdout: { write(text: string): unknown };
  /** Progress and errors. */
  readonly stderr: { write(text: string): unknown };
  readonly env: Environment;
  readonly cwd: string;
  /** Is standard output a terminal? */
  readonly isTTY: boolean;
  /** Size of the terminal now; 80 x 24 when absent or 0. */
  readonly size?: () => { readonly columns: number; readonly rows: number };
  /** Aborts when the user interrupts. */
  readonly signal?: AbortSignal;
  /** Calls the listener whenever the operator asks to read files again (SIGHUP). */
  readonly onHangup?: (listener: () => void) => void;
}

/** Longest line of a table where the terminal does not say how wide it is. */
export const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** A terminal that nobody told its size, as of a container or a script, says that it has none. */
export function sizeOf({ size }: CliIo): { columns: number; rows: number } {
  const { columns = 0, rows = 0 } = size?.() ?? {};
  return { columns: columns > 0 ? columns : DEFAULT_COLUMNS, rows: rows > 0 ? rows : DEFAULT_ROWS };
}

export const writeLine = (io: CliIo, text: string): void => void io.stdout.write(`${text}\n`);
/** To standard error, so that standard output holds results only. */
export const note = (io: CliIo, text: string): void => void io.stderr.write(`${text}\n`);

/** A result: JSON for machines where that was asked for, otherwise as `print` writes it for people. */
export function answer(
  io: CliIo,
  asJson: true | undefined,
  value: unknown,
  print: () => void,
): void {
  if (asJson === true) writeLine(io, JSON.stringify(value, null, 2));
  else print();
}

type Paint = "green" | "red" | "yellow" | "dim";
const PAINT: Readonly<Record<Paint, number>> = { green: 32, red: 31, yellow: 33, dim: 2 };

/** Colours, unless the output is no terminal or NO_COLOR (no-color.org) is set. */
export function painter(io: CliIo): (paint: Paint, text: string) => string {
  const plain = !io.isTTY || (io.env.NO_COLOR ?? "") !== "" || io.env.TERM === "dumb";
  return (paint, text) => (plain ? text : `\u001b[${PAINT[paint]}m${text}\u001b[0m`);
}
