import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
