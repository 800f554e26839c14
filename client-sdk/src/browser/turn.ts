/** The one turn of a device: of all tabs, whichever holds it may train. It is a Web Lock, so no tab takes it along. */

import type { World } from "./world.ts";

/** A wish for the turn, which all of a tab share. */
export interface Place {
  readonly held: boolean;
  leave(): void;
}

export interface Turn {
  /** Waits for the turn in order of arrival. @param changed called when `held` has changed */
  want(changed: () => void): Place;
}

/** @param name of the lock. Without Web Locks nobody ever gets the turn. */
export function createTurn(name: string, world: World): Turn {
  const places = new Set<() => void>();
  let held = false;
  /** Gives the turn back, or takes back the request for it. */
  let stop: (() => void) | undefined;

  function set(isHeld: boolean): void {
    held = isHeld;
    for (const changed of [...places]) changed();
  }

  function request(): void {
    const locks = world.navigator?.locks;
    if (locks === undefined) return;
    const controller = new AbortController();
    let isOver = false;
    let release = () => {};
    const kept = new Promise<void>((resolve) => {
      release = resolve;
    });
    stop = () => {
      isOver = true;
      held = false;
      controller.abort();
      release();
    };
    locks
      .request(name, { signal: controller.signal }, () => {
        if (isOver) return undefined;
        set(true);
        return kept;
      })
      // Stolen, or refused: there is no turn then.
      .catch(() => {
        if (!isOver) set(false);
      });
  }

  return {
    want: (changed) => {
      const own = () => changed();
      places.add(own);
      if (stop === undefined) request();
      return {
        get held() {
          return held && places.has(own);
        },
        leave: () => {
          places.delete(own);
          if (places.size > 0) return;
          stop?.();
          stop = undefined;
        },
      };
    },
  };
}
