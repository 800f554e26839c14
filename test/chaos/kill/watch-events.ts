/** Reads the coordinator's event stream until it breaks, and writes what it says into the diary. */

import type { MonitoringEvent } from "@tributary/protocol";

import { ADMIN_TOKEN } from "../support/server-process.ts";
import type { Diary } from "./diary.ts";
import { noteRound, noteVersion } from "./diary.ts";

/** Resolves when the stream has ended: with the process, at the latest. */
export async function watchEvents(
  url: string,
  diary: Diary,
  onEvent: (event: MonitoringEvent) => void,
): Promise<void> {
  let text = "";
  try {
    const response = await fetch(`${url}/v1/events`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    if (response.body === null) return;
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        const data = /^data: ?(.*)$/m.exec(message)?.[1];
        if (data === undefined || data === "") continue;
        const event = JSON.parse(data) as MonitoringEvent;
        if (!("taskId" in event)) continue;
        if (event.type === "model:published") {
          noteVersion(diary, event.taskId, event.data.modelVersion, event.data.digest);
        }
        if (event.type === "round:phaseChanged") noteRound(diary, event.data);
        onEvent(event);
      }
    }
  } catch {
    // The process was killed while it spoke: the API will say what became of it.
  }
}
