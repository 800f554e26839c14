/** A view that is drawn again in place, with plain ANSI sequences. */

import type { CliIo } from "./io.ts";
import { painter, sizeOf } from "./io.ts";
import { tableLines } from "./table.ts";
import { ROUND_COLUMNS } from "./view.ts";
import type { WatchedTask } from "./watched-tasks.ts";

export interface Screen {
  /** @param status a last line under the tables */
  draw(tasks: readonly WatchedTask[], status?: string): void;
}

export function createScreen(io: CliIo): Screen {
  let drawn = 0;
  return {
    draw: (tasks, status) => {
      const lines = [
        ...screenLines(io, tasks),
        ...(status === undefined ? [] : [painter(io)("yellow", status)]),
      ];
      // Up to the first line of the last picture, then clear everything below.
      const back = drawn === 0 ? "" : `\u001b[${drawn}A\r\u001b[J`;
      io.stdout.write(`${back}${lines.map((line) => `${line}\n`).join("")}`);
      drawn = lines.length;
    },
  };
}

/** A heading and a table for each task; together they fit the terminal. */
function screenLines(io: CliIo, tasks: readonly WatchedTask[]): string[] {
  const paint = painter(io);
  const { columns, rows } = sizeOf(io);
  if (tasks.length === 0) return [paint("dim", "no tasks yet")];
  // Below the picture there is a line for the status and one for the cursor.
  const room = Math.max(1, Math.floor((rows - 2) / tasks.length) - 2);
  const lines = tasks.flatMap(({ taskId, state, endReason, rounds }) => {
    const heading = `${taskId}  ${endReason === undefined ? state : `${state}: ${endReason}`}`;
    const shown = rounds.slice(0, room);
    // A line that wraps would be drawn over two, and the way back up would be wrong.
    const [titles = "", ...body] = tableLines(ROUND_COLUMNS, shown, columns).map((line) =>
      line.slice(0, columns),
    );
    return [
      heading.slice(0, columns),
      paint("dim", titles),
      ...body.map((line, i) => {
        const phase = shown[i]?.phase;
        if (phase === "committed") return line;
        return paint(phase === "abandoned" ? "red" : "yellow", line);
      }),
    ];
  });
  return lines.slice(0, Math.max(1, rows - 2));
}
