/**
 * Frames of a WebSocket are bounded below its messages: pings, which are answered by themselves, and packets
 * that never become a message cost time and memory too, and no limit of messages sees them.
 */

import { createBucketMaker } from "../limits/token-buckets.ts";
import type { Clock } from "../ports.ts";

/** engine.io's end of a connection. */
interface Connection {
  readonly request: {
    readonly socket: { readonly writableLength?: number; destroy(): unknown };
  };
}
/** What `ws` tells of a connection: every frame is one of these, also after we have said goodbye. */
interface Frames {
  on(event: "message" | "ping" | "pong", listener: () => void): unknown;
}

export interface FrameLimits {
  readonly perSecond: number;
  /** Frames that may come at once. */
  readonly burst: number;
  /** Frames of who has not been let in: one is all that it takes to say who one is. */
  readonly beforeAdmission: number;
  /** Bytes that may wait for the other end, pongs among them. */
  readonly unreadBytes: number;
}

/** @returns cuts a connection without a word when it sends more, or asks for more than it reads */
export function createFrameGuard(
  clock: Pick<Clock, "monotonicMs">,
  { perSecond, burst, beforeAdmission, unreadBytes }: FrameLimits,
): (connection: Connection, frames: Frames, isAdmitted: () => boolean) => void {
  const newBudget = createBucketMaker({ perSecond, burst });
  return (connection, frames, isAdmitted) => {
    const budget = newBudget();
    const { socket } = connection.request;
    let early = 0;
    const spend = () => {
      const mayCome = isAdmitted()
        ? budget.take(clock.monotonicMs()) === 0
        : (early += 1) <= beforeAdmission;
      if (!mayCome || (socket.writableLength ?? 0) > unreadBytes) socket.destroy();
    };
    frames.on("message", spend);
    frames.on("ping", spend);
    frames.on("pong", spend);
  };
}
