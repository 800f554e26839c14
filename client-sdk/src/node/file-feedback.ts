/**
 * What was left out of updates, on disk: one file for each task of each coordinator, replaced whole. What is damaged
 * is found by its reader.
 */

import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import type { TaskId } from "@tributary/protocol";
import { parseTaskId } from "@tributary/protocol";

import type { FeedbackStore } from "../encoding/feedback-store.ts";
import { isCode, removeDrafts, writeDurably } from "./durable-file.ts";

export interface FileFeedbackOptions {
  /** Made where it is missing. It is made of this client's data: one directory for each client key, readable to it. */
  readonly directory: string;
}

export function createFileFeedback({ directory }: FileFeedbackOptions): FeedbackStore {
  const pathOf = (origin: string, taskId: TaskId) => {
    const address = createHash("sha256").update(origin).digest("hex").slice(0, 16);
    return join(directory, `${parseTaskId(taskId)}.${address}.feedback`);
  };
  return {
    get: async (origin, taskId) => {
      try {
        return await readFile(pathOf(origin, taskId));
      } catch (error) {
        if (isCode(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    put: (origin, taskId, bytes) => writeDurably(pathOf(origin, taskId), bytes, 0o600),
    delete: async (origin, taskId) => {
      const path = pathOf(origin, taskId);
      await rm(path, { force: true });
      // What was being written when the process was killed is of the same data.
      await removeDrafts(path);
    },
  };
}
