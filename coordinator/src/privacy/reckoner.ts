/**
 * The accountant beside the event loop. Whoever asks writes a plain, pure call of it; what takes
 * long in it is computed in a thread, one thing after another, and the call is made again until nothing is missing.
 *
 * The answer is the call's own, with or without a thread: where none can be had, it is computed here.
 */

import type { Computed, Question } from "./computed.ts";
import { askQuickly, remember } from "./computed.ts";
import { RDP_ORDERS } from "./rdp.ts";
import type { Thread } from "../thread.ts";
import { openThread } from "../thread.ts";

/** Answers what a pure function of the accountant does: `ask` may be called several times. Throws what it throws. */
export type Reckon = <T>(ask: () => T) => Promise<T>;

export interface Reckoner {
  readonly reckon: Reckon;
  /** Ends the thread; what is asked then or later is computed here, a question under way included. */
  close(): Promise<void>;
}

/** Computes where it is asked, at once. */
export const reckonHere: Reckon = async (ask) => ask();

/**
 * The thread starts with the first question that needs it, and keeps no process alive.
 * @param onFailure told each time that a thread gave no answer
 * @param open for tests: the thread that computes
 */
export function createReckoner(
  onFailure: (error: unknown) => void = () => {},
  open: () => Thread<Question, Computed> = () => openThread("accountant", import.meta.url),
): Reckoner {
  let thread: Thread<Question, Computed> | undefined;
  let isClosed = false;

  async function learn(question: Question): Promise<boolean> {
    if (isClosed) return false;
    let asked: Thread<Question, Computed> | undefined;
    try {
      asked = thread ??= open();
      const answer = await asked.ask(question);
      assertAnswers(question, answer);
      remember(question, answer);
      return true;
    } catch (error) {
      onFailure(error);
      // Whoever comes next tries a new one.
      if (asked !== undefined && thread === asked) thread = undefined;
      await asked?.close().catch(onFailure);
      return false;
    }
  }

  return {
    reckon: async (ask) => {
      for (;;) {
        const known = askQuickly(ask);
        if ("answer" in known) return known.answer;
        if (!(await learn(known.missing))) return ask();
      }
    },
    close: async () => {
      isClosed = true;
      await thread?.close();
    },
  };
}

/** @throws RangeError; Infinity is fine and says that there is no bound */
function assertAnswers({ kind }: Question, answer: unknown): void {
  const numbers: unknown[] = Array.isArray(answer) ? answer : [answer];
  const isOne = Array.isArray(answer)
    ? kind === "curve" && answer.length === RDP_ORDERS.length
    : kind === "loss";
  if (isOne && numbers.every((value) => typeof value === "number" && value >= 0)) return;
  throw new RangeError(`what a thread says of a ${kind} must be numbers >= 0`);
}
