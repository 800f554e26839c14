/** What every store of feedback promises (`FeedbackStore`), as tests to run on each kind. */

import type { TaskId } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { FeedbackStore } from "../../client-sdk/src/encoding/feedback-store.ts";

export interface FeedbackUnderTest extends AsyncDisposable {
  readonly feedback: FeedbackStore;
}

const [ORIGIN, ELSEWHERE] = ["https://a.example", "https://b.example"];
const [TASK, OTHER] = ["digits" as TaskId, "other" as TaskId];
const bytes = (fill: number, length = 100) =>
  // A view into a larger buffer, as an encoder may give it.
  new Uint8Array(length + 20).fill(fill).subarray(10, length + 10);
const plain = async (held: Promise<Uint8Array | undefined>) => [...((await held) ?? [])];

export function feedbackConformance(name: string, open: () => Promise<FeedbackUnderTest>): void {
  describe(`feedback: ${name}`, () => {
    test("[EC9] one text is kept for each task of each origin, whole, until it is deleted", async () => {
      await using under = await open();
      const { feedback } = under;
      expect(await feedback.get(ORIGIN, TASK)).toBeUndefined();
      await feedback.delete(ORIGIN, TASK);
      await feedback.put(ORIGIN, TASK, bytes(1, 3_000_000));
      await feedback.put(ELSEWHERE, TASK, bytes(2));
      await feedback.put(ORIGIN, OTHER, bytes(3));
      await feedback.put(ORIGIN, TASK, bytes(4));
      expect(await plain(feedback.get(ORIGIN, TASK))).toEqual([...bytes(4)]);
      expect(await plain(feedback.get(ELSEWHERE, TASK))).toEqual([...bytes(2)]);
      await feedback.delete(ORIGIN, TASK);
      expect(await feedback.get(ORIGIN, TASK)).toBeUndefined();
      expect(await plain(feedback.get(ORIGIN, OTHER))).toEqual([...bytes(3)]);
    });
  });
}
