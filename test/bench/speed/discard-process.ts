/** The bare discard as a program of its own, whose heap has nothing else in it. Told by its parent to say what it cost. */

import { startDiscard } from "./bare-servers.ts";

const discard = await startDiscard();
process.on("message", () => process.send?.(process.cpuUsage()));
process.on("disconnect", () => process.exit());
process.send?.(discard.url);
