/** How many check-ins may be held, and that no address keeps others from being held. */

import { addressKey } from "../limits/address.ts";

export interface HeldPlaces {
  /**
   * @param giveWay called once, should the place be wanted by another address; it is free at once
   * @returns gives the place back, and calling it again changes nothing; undefined where none is to be had
   */
  take(address: string, giveWay: () => void): (() => void) | undefined;
}

interface Place {
  readonly giveWay: () => void;
  readonly leave: () => void;
}

/**
 * One address may have all places for as long as nobody else wants them, as where all clients come through one proxy.
 * Of what is beyond half of them its oldest give way to other addresses.
 */
export function createHeldPlaces(most: number): HeldPlaces {
  const half = Math.ceil(most / 2);
  /** In order of arrival. */
  const byAddress = new Map<string, Set<Place>>();
  let taken = 0;
  /** More than half can be of one address only: of the one that had it last. */
  let largest: ReadonlySet<Place> = new Set();

  function makeRoom(own: number): boolean {
    if (taken < most) return true;
    if (own >= half || largest.size <= half) return false;
    const [oldest] = largest;
    oldest?.leave();
    oldest?.giveWay();
    return true;
  }

  return {
    take: (address, giveWay) => {
      const key = addressKey(address);
      if (!makeRoom(byAddress.get(key)?.size ?? 0)) return undefined;
      const own = byAddress.get(key) ?? new Set();
      byAddress.set(key, own);
      const leave = () => {
        if (!own.delete(place)) return;
        taken -= 1;
        if (own.size === 0) byAddress.delete(key);
      };
      const place: Place = { giveWay, leave };
      own.add(place);
      taken += 1;
      if (own.size > half) largest = own;
      return leave;
    },
  };
}
