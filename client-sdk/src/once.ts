/** Something that is made when it is first needed, and then kept. */

export interface Once<T> {
  /** Makes it at the first call; a failure is forgotten, so that the next call tries again. */
  get(): Promise<T>;
  /** What was made or is being made; undefined before the first call and after a failure. */
  made(): Promise<T> | undefined;
}

export function once<T>(make: () => T | Promise<T>): Once<T> {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= (async () => make())().catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      return made;
    },
    made: () => made,
  };
}
