/**
 * The updates of a round whose rule needs all of them at once. They are kept as they came until the round is
 * aggregated, move to a thread then, and go with it.
 */

import type { Encoding, RobustRule } from "@tributary/protocol";

import type { Thread } from "../../thread.ts";
import { openThread } from "../../thread.ts";
import type { Aggregator } from "../aggregator.ts";
import { assertLength } from "../encoded-delta.ts";
import { normOf } from "../kernel/open-kernel.ts";

export interface RobustSum extends Aggregator {
  readonly kind: "robust";
  /** Bytes of the updates that are kept. */
  readonly bytesKept: number;
  /**
   * What the rule makes of the updates, computed in a thread that takes them along: none is left afterwards, however it
   * ends, and it can be asked for once.
   * @throws when the signal aborts, which ends the thread; RangeError for too few updates; Error when the thread
   * fails or ends
   */
  mean(signal: AbortSignal): Promise<Float64Array>;
}

export interface RobustSumOptions {
  readonly rule: RobustRule;
  readonly parameterCount: number;
  /** Each update is scaled into this L2 ball before the rule sees it. */
  readonly clippingNorm?: number;
}

/** What the thread is asked. */
export interface RobustQuestion extends RobustSumOptions {
  readonly encoding: Encoding;
  readonly payloads: readonly Uint8Array[];
}

/** @param open for tests: the thread that computes */
export function createRobustSum(
  options: RobustSumOptions,
  open: () => Thread<RobustQuestion, Float64Array> = () => openThread("robust", import.meta.url),
): RobustSum {
  const { parameterCount, rule } = options;
  /** Memory that was lent to uploads: what is added from it need not be copied. */
  const lent = new WeakSet<ArrayBufferLike>();
  let payloads: Uint8Array<ArrayBuffer>[] = [];
  let encoding: Encoding | undefined;
  let count = 0;
  let isTaken = false;
  return {
    kind: "robust",
    get count() {
      return count;
    },
    get bytesKept() {
      return payloads.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    },
    slots: {
      take: (bytes) => {
        const memory = new Uint8Array(bytes);
        lent.add(memory.buffer);
        return { bytes: memory, release: () => {} };
      },
    },
    add: ({ delta, norm = normOf(delta) }) => {
      assertLength(delta, parameterCount);
      if (!Number.isFinite(norm)) {
        throw new RangeError("an update that is not finite cannot be added");
      }
      if (isTaken) throw new RangeError("the updates of this round are aggregated already");
      if (encoding !== undefined && !isAlike(encoding, delta.encoding)) {
        throw new RangeError(`an update as ${delta.encoding.kind} beside one as ${encoding.kind}`);
      }
      encoding = delta.encoding;
      payloads.push(
        lent.delete(delta.payload.buffer)
          ? (delta.payload as Uint8Array<ArrayBuffer>)
          : Uint8Array.from(delta.payload),
      );
      count += 1;
    },
    close: () => {
      isTaken = true;
      payloads = [];
    },
    mean: async (signal) => {
      signal.throwIfAborted();
      if (encoding === undefined || isTaken) {
        throw new RangeError(`"${rule.kind}" has ${isTaken ? "taken its" : "no"} updates`);
      }
      const question: RobustQuestion = { ...options, encoding, payloads };
      const buffers = payloads.map(({ buffer }) => buffer);
      isTaken = true;
      payloads = [];
      const thread = open();
      const end = () => void thread.close();
      signal.addEventListener("abort", end, { once: true });
      try {
        const mean = await thread.ask(question, buffers);
        assertMean(mean, parameterCount);
        return mean;
      } finally {
        signal.removeEventListener("abort", end);
        await thread.close();
      }
    },
  };
}

const isAlike = (a: Encoding, b: Encoding): boolean => JSON.stringify(a) === JSON.stringify(b);

/** @throws RangeError when a thread says anything else than one finite number for each parameter */
function assertMean(mean: Float64Array, parameterCount: number): void {
  let fine = mean.length === parameterCount;
  for (let i = 0; fine && i < mean.length; i++) fine = Number.isFinite(mean[i]);
  if (!fine) throw new RangeError(`a robust rule must give ${parameterCount} finite numbers`);
}
