/** A bounded number of places for each key: connections of an address, of a client. */

export interface Places {
  /** Takes a place. @returns how to give it back (again changes nothing); undefined where all are taken */
  take(key: string): (() => void) | undefined;
  taken(key: string): number;
}

export function createPlaces(perKey: number): Places {
  const counts = new Map<string, number>();
  const taken = (key: string) => counts.get(key) ?? 0;
  return {
    taken,
    take: (key) => {
      if (taken(key) >= perKey) return undefined;
      counts.set(key, taken(key) + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        const left = taken(key) - 1;
        if (left > 0) counts.set(key, left);
        else counts.delete(key);
      };
    },
  };
}
