/** A process of its own that writes feedback without end, and says after each write how many there were. */

import type { TaskId } from "@tributary/protocol";

import { createFileFeedback } from "./file-feedback.ts";

const [directory = ""] = process.argv.slice(2);
const feedback = createFileFeedback({ directory });
// Nobody needs it without whoever reads it.
process.stdin.on("end", () => process.exit()).resume();
for (let written = 1; ; written++) {
  const bytes = new Uint8Array(2 ** 21).fill(written);
  await feedback.put("https://a.example", "digits" as TaskId, bytes);
  process.stdout.write(`${written}\n`);
}
