/**
 * Memory that uploads fill as bytes arrive, where the sum of their round reads them in place. It is taken when the
 * sum is opened and never grows, so views stay valid; pages that nobody has touched cost nothing. After the round it
 * may be another's, but not before the last slot was released.
 */

export interface UpdateSlot {
  /** As many bytes as were asked for, from a multiple of 16; whatever was there before. */
  readonly bytes: Uint8Array;
  /**
   * Gives the memory back. Once is enough and more is harmless: a slot whose delta was added belongs to the sum,
   * which gives it back itself, so whoever took a slot may release it at the end of the upload in any case.
   */
  release(): void;
}

export interface SlotPool {
  /** undefined where none is free, or none has so many bytes: then any memory will do, from which a sum copies. */
  take(bytes: number): UpdateSlot | undefined;
}

/** Of sums that have no memory of their own. */
export const noSlots: SlotPool = { take: () => undefined };
