/**
 * A copy of the working tree, aside, where code may be broken and tests run: tracked files and new ones
 * that git does not ignore, with the packages of `node_modules` linked.
 */

import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink } from "node:fs/promises";
import { realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Of this repository. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Workshop extends AsyncDisposable {
  readonly root: string;
  read(file: string): Promise<string>;
  write(file: string, text: string): Promise<void>;
}

export async function openWorkshop(): Promise<Workshop> {
  // Tests compare paths with real ones, and the temporary folder of a system may be a link.
  const root = await realpath(await mkdtemp(join(tmpdir(), "tributary-mutants-")));
  const removeNow = () => rmSync(root, { recursive: true, force: true });
  process.once("exit", removeNow);
  const workshop: Workshop = {
    root,
    read: (file) => readFile(join(root, file), "utf8"),
    write: (file, text) => writeFile(join(root, file), text),
    [Symbol.asyncDispose]: async () => {
      process.off("exit", removeNow);
      await rm(root, { recursive: true, force: true });
    },
  };
  try {
    const files = await listFiles();
    for (const folder of new Set(files.map(dirname))) {
      await mkdir(join(root, folder), { recursive: true });
    }
    await Promise.all(files.map((file) => copyFile(join(ROOT, file), join(root, file))));
    const packages = files.filter((file) => /(^|\/)package\.json$/.test(file)).map(dirname);
    for (const folder of packages) await linkPackages(join(folder, "node_modules"), root);
  } catch (error) {
    await workshop[Symbol.asyncDispose]();
    throw error;
  }
  return workshop;
}

async function listFiles(): Promise<string[]> {
  const git = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)("git", ["ls-files", "-z", ...args], {
      cwd: ROOT,
      maxBuffer: 2 ** 26,
    });
    return stdout.split("\0").filter((file) => file !== "");
  };
  const deleted = new Set(await git("--deleted"));
  const files = await git("--cached", "--others", "--exclude-standard");
  return [...new Set(files)].filter((file) => !deleted.has(file));
}

/**
 * Links what is installed. Links to packages of this repository are relative, and are made anew as they
 * are: they must lead into the copy, or the tests would run the code as it is.
 */
async function linkPackages(folder: string, root: string): Promise<void> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true }).catch(() => []);
  if (entries.length === 0) return;
  await mkdir(join(root, folder), { recursive: true });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    // Caches belong to the tree that made them.
    if (entry.name.startsWith(".vite") || entry.name === ".cache") continue;
    if (entry.isSymbolicLink()) await symlink(await readlink(join(ROOT, path)), join(root, path));
    else if (entry.name.startsWith("@")) await linkPackages(path, root);
    else await symlink(join(ROOT, path), join(root, path));
  }
}
