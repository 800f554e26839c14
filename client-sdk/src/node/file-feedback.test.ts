import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { feedbackConformance } from "../../../test/conformance/feedback.ts";
import { createFileFeedback } from "./file-feedback.ts";

const openDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-feedback-"));
  return {
    ...{ directory, feedback: createFileFeedback({ directory: join(directory, "made") }) },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
};

feedbackConformance("files", openDirectory);

test("[EC9] files of feedback are the owner's alone, and no task's name leads out of their folder", async () => {
  await using under = await openDirectory();
  await under.feedback.put("https://a.example", "digits" as TaskId, new Uint8Array(4));
  const folder = join(under.directory, "made");
  const [name = ""] = await readdir(folder);
  expect(name).toMatch(/^digits\.[0-9a-f]{16}\.feedback$/);
  if (process.platform !== "win32") {
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  }
  expect(() =>
    under.feedback.put("https://a.example", "../up" as TaskId, new Uint8Array(4)),
  ).toThrow();
});

const WRITER = fileURLToPath(new URL("./feedback-writer.fixture.ts", import.meta.url));

/** Starts a process that writes feedback without end. @returns what it was killed after: its newest that was written */
async function killAfter(directory: string, writes: number): Promise<number> {
  const child = spawn(
    process.execPath,
    ["--conditions=@tributary/source", "--import=jiti/register", WRITER, directory],
    { cwd: dirname(WRITER), stdio: ["pipe", "pipe", "inherit"] },
  );
  const exited = once(child, "exit");
  let written = 0;
  for await (const line of createInterface(child.stdout)) {
    written = Number(line);
    if (written === writes) child.kill("SIGKILL");
  }
  await exited;
  return written;
}

test("[EC9] a process that is killed while it writes feedback leaves what it last wrote, whole, and nothing once it is deleted", async () => {
  await using under = await openDirectory();
  const folder = join(under.directory, "made");
  const [origin, taskId] = ["https://a.example", "digits" as TaskId];
  for (const writes of [1, 2, 5]) {
    const written = await killAfter(folder, writes);
    const bytes = await under.feedback.get(origin, taskId);
    // The one after it may have been written, too, without a word.
    expect(bytes?.length).toBe(2 ** 21);
    expect([written, written + 1]).toContain(bytes?.[0]);
    expect(bytes?.every((byte) => byte === bytes[0])).toBe(true);
  }
  await writeFile(join(folder, "digits.0.feedback"), "another coordinator's");
  await under.feedback.delete(origin, taskId);
  expect(await readdir(folder)).toEqual(["digits.0.feedback"]);
});

test("[EC9] a draft that a killed process left goes with what it is a draft of, and no other", async () => {
  await using under = await openDirectory();
  const folder = join(under.directory, "made");
  const [origin, taskId] = ["https://a.example", "digits" as TaskId];
  await under.feedback.put(origin, taskId, new Uint8Array(4));
  const [name = ""] = await readdir(folder);
  for (const draft of [`${name}.1.tmp`, `${name}.2.tmp`, "other.0.feedback.1.tmp"]) {
    await writeFile(join(folder, draft), "half");
  }
  await under.feedback.delete(origin, taskId);
  expect(await readdir(folder)).toEqual(["other.0.feedback.1.tmp"]);
});
