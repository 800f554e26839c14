/** A bug that somebody once shipped, as one edit of our code, with the tests that must not let it pass. */

import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface Mutant {
  /** Number of the failure that it flips in (`known-failures.ts`). */
  readonly failure: number;
  /** What the bug does. */
  readonly title: string;
  /** Path from the root of the repository. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, from the root: they pass as the code is, and fail with the bug. */
  readonly tests: readonly string[];
}

export interface NamedMutant extends Mutant {
  /** Name of its file, for the command line and the table. */
  readonly name: string;
}

const FOLDER = new URL("./failures/", import.meta.url);

/** Every mutant that a file of `failures/` exports, under whatever name. */
export async function loadMutants(): Promise<NamedMutant[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".ts")).sort();
  const loaded = await Promise.all(
    files.map(async (file) => {
      const path = fileURLToPath(new URL(file, FOLDER));
      const exported = Object.values((await import(pathToFileURL(path).href)) as object);
      const found = exported.filter(isMutant);
      if (found.length === 0) throw new Error(`${file} exports no mutant`);
      const name = basename(file, ".ts");
      return found.map((mutant, i) => ({
        ...mutant,
        name: found.length === 1 ? name : `${name}-${i + 1}`,
      }));
    }),
  );
  return loaded.flat();
}

const isMutant = (value: unknown): value is Mutant =>
  typeof value === "object" && value !== null && "failure" in value && "find" in value;

/** The source with the bug in it. @throws RangeError when it does not say exactly where that goes */
export function mutate(
  source: string,
  { find, replace }: Pick<Mutant, "find" | "replace">,
): string {
  const times = source.split(find).length - 1;
  if (find === "" || times !== 1) {
    throw new RangeError(`the text to replace stands ${times} times in the file, not once`);
  }
  if (find === replace) throw new RangeError("the replacement changes nothing");
  return source.replace(find, () => replace);
}
