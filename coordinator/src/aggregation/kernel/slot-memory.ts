/** Slots in a stretch of fixed memory: who has which. */

import type { SlotPool, UpdateSlot } from "../update-slots.ts";

export interface SlotMemory extends SlotPool {
  /** The slot that this memory lies in now belongs to the sum, whoever took it; undefined for any other memory. */
  keep(bytes: Uint8Array): KeptSlot | undefined;
  /** A free slot for the sum itself. */
  takeKept(): KeptSlot | undefined;
  /** Nobody gets a slot from now on; `then` runs once nobody has one. */
  close(then: () => void): void;
  /** Behind the last byte of what was ever in a slot. */
  readonly usedEnd: number;
}

/** A slot of the sum's own. */
export interface KeptSlot {
  /** First byte of the slot. */
  readonly at: number;
  free(): void;
}

export interface SlotMemoryOptions {
  /** First byte of the first slot. */
  readonly at: number;
  readonly slotBytes: number;
  readonly count: number;
  /** Asked when somebody wants a slot and none is free: may give back what it can. */
  readonly makeRoom: () => void;
}

export function createSlotMemory(
  memory: ArrayBuffer,
  { at, slotBytes, count, makeRoom }: SlotMemoryOptions,
): SlotMemory {
  /** The last one that was freed comes first: memory that nobody has touched stays untouched. */
  const free = Array.from({ length: count }, (_, i) => count - 1 - i);
  /** By slot, who has it: only they can give it back. */
  const owners = new Map<number, symbol>();
  let used = 0;
  let whenFree: (() => void) | undefined;

  function give(slot: number): () => void {
    const owner = Symbol();
    owners.set(slot, owner);
    used = Math.max(used, slot + 1);
    return () => {
      if (owners.get(slot) !== owner) return;
      owners.delete(slot);
      if (whenFree === undefined) free.push(slot);
      else if (owners.size === 0) whenFree();
    };
  }
  function next(): number | undefined {
    if (free.length === 0) makeRoom();
    return free.pop();
  }
  const kept = (slot: number): KeptSlot => ({ at: at + slot * slotBytes, free: give(slot) });

  return {
    take: (bytes) => {
      const slot = bytes <= slotBytes ? next() : undefined;
      if (slot === undefined) return undefined;
      const release = give(slot);
      return {
        bytes: new Uint8Array(memory, at + slot * slotBytes, bytes),
        release,
      } satisfies UpdateSlot;
    },
    keep: ({ buffer, byteOffset }) => {
      if (buffer !== memory) return undefined;
      const slot = Math.floor((byteOffset - at) / slotBytes);
      if (!(slot >= 0 && slot < count)) return undefined;
      // Whoever gave it back already has no claim to it, and must not see it given away while it is read.
      const place = free.indexOf(slot);
      if (place >= 0) free.splice(place, 1);
      return kept(slot);
    },
    takeKept: () => {
      const slot = next();
      return slot === undefined ? undefined : kept(slot);
    },
    close: (then) => {
      if (whenFree !== undefined) return;
      whenFree = then;
      free.length = 0;
      if (owners.size === 0) then();
    },
    get usedEnd() {
      return at + used * slotBytes;
    },
  };
}
