/**
 * Deltas between checkpoints that clients have and those that they want, made when somebody asks first, each once,
 * and kept as long as there is room. Whatever keeps one from being had costs bytes and nothing else: the whole
 * checkpoint does as well.
 */

import type { Digest } from "@tributary/protocol";
import { diffCheckpoints, inPieces, MIN_DELTA_FRAME_BYTES } from "@tributary/protocol";

import type { Logger } from "../ports.ts";
import { createMailbox } from "../round/mailbox.ts";
import { otherTurns } from "../thread.ts";

export interface CheckpointDeltasDeps {
  /** Of a published version. */
  readonly frameOf: (digest: Digest) => Promise<Uint8Array | undefined>;
  /** Of planes of bytes, beside the event loop. */
  readonly gzip: (bytes: Uint8Array) => Promise<Uint8Array>;
  readonly logger: Pick<Logger, "warn">;
}

export interface CheckpointDeltasOptions {
  /** Of all deltas that are kept; also the largest model that deltas are made of. 0: none are made. */
  readonly deltaMemoryBytes: number;
}

export interface CheckpointDeltas {
  /** Gzipped; undefined where none is smaller, or none can be had now. Never rejected. */
  between(base: Digest, target: Digest): Promise<Uint8Array | undefined>;
}

/** A delta that saves less than an eighth is not worth its making at both ends. */
const WORTH = 7 / 8;
/** Pairs that wait to be made. Who comes then gets the whole: sooner than a delta, if more to send. */
const MAX_WAITING = 8;
/** Of a pair that is kept, beside its bytes. */
const ENTRY_BYTES = 512;

export function createCheckpointDeltas(
  deps: CheckpointDeltasDeps,
  { deltaMemoryBytes }: CheckpointDeltasOptions,
): CheckpointDeltas {
  /** By pair, the one that was asked for last at the end; "whole" where no delta pays. */
  const kept = new Map<string, Uint8Array | "whole">();
  const underWay = new Map<string, Promise<Uint8Array | "whole">>();
  /** One at a time: its memory is bounded, and the threads are not ours alone. */
  const turns = createMailbox();
  let keptBytes = 0;

  const sizeOf = (delta: Uint8Array | "whole") =>
    ENTRY_BYTES + (delta === "whole" ? 0 : delta.length);

  function forget(pair: string): void {
    const delta = kept.get(pair);
    if (delta === undefined) return;
    kept.delete(pair);
    keptBytes -= sizeOf(delta);
  }

  function keep(pair: string, delta: Uint8Array | "whole"): void {
    forget(pair);
    kept.set(pair, delta);
    keptBytes += sizeOf(delta);
    for (const oldest of kept.keys()) {
      if (keptBytes <= deltaMemoryBytes) break;
      forget(oldest);
    }
  }

  async function make(base: Digest, target: Digest): Promise<Uint8Array | "whole"> {
    const wanted = await deps.frameOf(target);
    if (wanted === undefined || wanted.length < MIN_DELTA_FRAME_BYTES) return "whole";
    if (wanted.length > deltaMemoryBytes) return "whole";
    const had = await deps.frameOf(base);
    if (had?.length !== wanted.length) return "whole";
    const delta = await inPieces(diffCheckpoints(had, wanted), otherTurns);
    const packed = await deps.gzip(delta);
    return packed.length <= WORTH * wanted.length ? packed : "whole";
  }

  return {
    between: async (base, target) => {
      if (deltaMemoryBytes === 0 || base === target) return undefined;
      const pair = `${base} ${target}`;
      const held = kept.get(pair);
      if (held !== undefined) {
        keep(pair, held);
        return held === "whole" ? undefined : held;
      }
      let making = underWay.get(pair);
      if (making === undefined) {
        if (underWay.size >= MAX_WAITING) return undefined;
        making = turns.post(() => make(base, target));
        underWay.set(pair, making);
        making.then(
          (delta) => keep(pair, delta),
          (error: unknown) => deps.logger.warn({ error }, "a delta between checkpoints failed"),
        );
        void making.catch(() => undefined).finally(() => underWay.delete(pair));
      }
      const delta = await making.catch(() => "whole" as const);
      return delta === "whole" ? undefined : delta;
    },
  };
}
