/** A disk that fills up and has room again: how large a file this process may make. */

import { spawn } from "node:child_process";
import { once } from "node:events";

/** What would make a file larger fails as on a full disk. @returns false where the system cannot do it */
export async function limitFileSize(bytes: number | "unlimited"): Promise<boolean> {
  const child = spawn("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`], {
    stdio: "ignore",
  });
  const code = await Promise.race([
    once(child, "exit").then(([exit]) => exit as number | null),
    once(child, "error").then(() => 127),
  ]);
  return code === 0;
}
