import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

import { expect, test } from "vitest";

const NODE = ["--conditions=@tributary/source", "--import=jiti/register"];
const at = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

test("[SI6] whoever closes a thread sees its end, also where an answer comes meanwhile", async () => {
  // The answer lies there, unread, when the thread is closed, and is all that keeps the process alive.
  const program = `
    (async () => {
    const module = await import(${at("./thread.ts")});
    const { openThread } = module.default ?? module;
    const thread = openThread("exact-noise", ${at("./privacy/exact-noise.ts")});
    await thread.ask({ samples: 1, stddev: 2 });
    void thread.ask({ samples: 1, stddev: 2 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await thread.close();
    process.stdout.write("closed");
    })();`;
  const child = spawn(process.execPath, [...NODE, "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said, [exitCode]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  expect({ said, exitCode }).toEqual({ said: "closed", exitCode: 0 });
});
