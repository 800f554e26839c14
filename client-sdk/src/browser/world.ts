/**
 * What a page or Worker may have around it. Nothing of it is certain: each browser lacks some, Node lacks all, and
 * what is missing stands against nothing, but for Web Locks and IndexedDB.
 */

export interface World {
  readonly document?: EventTarget & { readonly visibilityState: string };
  readonly navigator?: {
    readonly locks?: Pick<LockManager, "request">;
    readonly connection?: NetworkInformation;
    readonly storage?: { persist?(): Promise<boolean> };
    getBattery?(): Promise<Battery>;
  };
  /** Of the window: `online`, `pageshow`, `pagehide`. */
  addEventListener?(type: string, listener: (event: Event) => void): void;
  removeEventListener?(type: string, listener: (event: Event) => void): void;
  /** Throws where it is blocked. */
  readonly localStorage?: Storage;
  readonly isSecureContext?: boolean;
}

/** https://www.w3.org/TR/battery-status/; Chromium has it. */
export interface Battery extends EventTarget {
  readonly charging: boolean;
  /** 0 … 1. */
  readonly level: number;
}

/** https://wicg.github.io/netinfo/; Chromium has it, and `type` on phones only. */
export interface NetworkInformation extends EventTarget {
  readonly saveData?: boolean;
  readonly type?: string;
}

export const theWorld = (): World => globalThis;

/** Listens to several events at once. @returns stops listening */
export function listen(
  target: Pick<World, "addEventListener" | "removeEventListener"> | undefined,
  types: readonly string[],
  listener: (event: Event) => void,
): () => void {
  for (const type of types) target?.addEventListener?.(type, listener);
  return () => {
    for (const type of types) target?.removeEventListener?.(type, listener);
  };
}
