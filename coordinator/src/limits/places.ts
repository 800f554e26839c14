/** A bounded number of places for each key: connections of an address, of a client. */

export interface Places {
  /** Takes a place. @returns how to give it back (again changes nothing); undefined where all are taken */
  take(key: string): (() => void) | undefined;
  /** Takes a place for who keeps account of it: true, and then `give` once. */
  claim(key: string): boolean;
  give(key: string): void;
  taken(key: string): number;
}

export function createPlaces(perKey: number): Places {
  const counts = new Map<string, number>();
  const taken = (key: string) => counts.get(key) ?? 0;
  const claim = (key: string) => {
    if (taken(key) >= perKey) return false;
    counts.set(key, taken(key) + 1);
    return true;
  };
  const give = (key: string) => {
    const left = taken(key) - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
  return {
    taken,
    claim,
    give,
    take: (key) => {
      if (!claim(key)) return undefined;
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        give(key);
      };
    },
  };
}
