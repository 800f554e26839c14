/** A bare server as a program of its own, whose heap has nothing else in it. Told by its parent to say what it cost. */

import { startDiscard, startSocketSum } from "./bare-servers.ts";

const [kind, parameterCount] = process.argv.slice(2);
const server = await (kind === "discard" ? startDiscard() : startSocketSum(Number(parameterCount)));
process.on("message", () => process.send?.(process.cpuUsage()));
process.on("disconnect", () => process.exit());
process.send?.(server.url);
