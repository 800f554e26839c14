import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import { privacyLedgerConformance } from "../../../test/conformance/privacy-ledger.ts";
import { createFileLedger } from "./file-ledger.ts";

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "tributary-ledger-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "ok",
    (error: unknown) => (isFederatedError(error) ? error.code : String(error)),
  );
const nameOf = (revision: number) => `privacy-${String(revision).padStart(12, "0")}.ledger`;

test("[LD8] what was saved is there for the next process, for its owner only, and alone", async () => {
  await using place = await folder();
  const directory = join(place.path, "made", "here");
  const ledger = createFileLedger({ directory });
  expect(await ledger.read()).toBeUndefined();
  expect(await ledger.write("one", 0)).toBe(true);
  expect(await ledger.write("two", 1)).toBe(true);
  expect(await createFileLedger({ directory }).read()).toEqual({ revision: 2, text: "two" });
  expect((await readdir(directory)).sort()).toEqual([nameOf(2), "privacy.begun"]);
  expect((await stat(join(directory, nameOf(2)))).mode & 0o777).toBe(0o600);
});

privacyLedgerConformance("file", async () => {
  const place = await folder();
  return {
    ledger: createFileLedger({ directory: place.path }),
    other: createFileLedger({ directory: place.path }),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
});

test("[LD10] a revision has one successor, also when older ones are gone already", async () => {
  await using place = await folder();
  const ledger = createFileLedger({ directory: place.path });
  for (const [revision, text] of ["a", "b", "c", "d"].entries()) await ledger.write(text, revision);
  for (const revision of [0, 1, 2, 3]) {
    expect(await ledger.write("late", revision)).toBe(false);
    expect(await ledger.read()).toEqual({ revision: 4, text: "d" });
  }
  const writers = Array.from({ length: 8 }, (_, i) => ledger.write(`e${i}`, 4));
  const outcomes = await Promise.all(writers);
  expect(outcomes.filter(Boolean)).toHaveLength(1);
  expect(await ledger.read()).toEqual({ revision: 5, text: `e${outcomes.indexOf(true)}` });
});

test("[LD9] a ledger that is gone is lost and not new; where nothing is left at all, mustExist says so", async () => {
  await using place = await folder();
  const directory = place.path;
  const ledger = createFileLedger({ directory });
  await ledger.write("one", 0);
  await rm(join(directory, nameOf(1)));
  expect(await codeOf(ledger.read())).toBe("CONFIG_INVALID");
  await rm(join(directory, "privacy.begun"));
  expect(await codeOf(createFileLedger({ directory, mustExist: true }).read())).toBe(
    "CONFIG_INVALID",
  );
  expect(await ledger.read()).toBeUndefined();
});

test("[LD8] what a killed process leaves is never taken for a ledger, and is swept away", async () => {
  await using place = await folder();
  const directory = place.path;
  const ledger = createFileLedger({ directory });
  await ledger.write("one", 0);
  // Killed before the link: a draft, perhaps half written.
  const draft = `${nameOf(2)}.00000000-0000-4000-8000-000000000000.tmp`;
  await writeFile(join(directory, draft), "tw");
  expect(await ledger.read()).toEqual({ revision: 1, text: "one" });
  expect(await ledger.write("two", 1)).toBe(true);
  // Killed after the link, before the older one was removed.
  await writeFile(join(directory, nameOf(1)), "one");
  expect(await ledger.read()).toEqual({ revision: 2, text: "two" });
  expect(await ledger.write("three", 2)).toBe(true);
  expect((await readdir(directory)).sort()).toEqual([nameOf(3), "privacy.begun"]);
});

test("[LD8] a disk that fails gives an error, and leaves what was there", async () => {
  await using place = await folder();
  const directory = place.path;
  const ledger = createFileLedger({ directory });
  await ledger.write("one", 0);
  // A directory in the ledger's place cannot be linked to, read or replaced.
  await mkdir(join(directory, nameOf(2)));
  expect(await ledger.write("two", 1)).toBe(false);
  await expect(ledger.read()).rejects.toThrow("EISDIR");
  await rm(join(directory, nameOf(2)), { recursive: true });
  expect(await readFile(join(directory, nameOf(1)), "utf8")).toBe("one");
  const noFolder = createFileLedger({ directory: join(directory, nameOf(1)) });
  await expect(noFolder.read()).rejects.toThrow("ENOTDIR");
  await expect(noFolder.write("x", 0)).rejects.toThrow();
});
