import type * as FsPromises from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sha256 } from "@tributary/protocol";
import { expect, test, vi } from "vitest";

/** Every call that matters on a disk, in order; paths relative to the test's folder. */
const calls: string[] = [];
let root = "";
const named = (path: unknown) =>
  String(path)
    .slice(root.length + 1)
    .replace(/\.[0-9a-f-]{36}\.tmp$/, ".tmp");

// The only way to see what reaches the kernel is to stand between; everything passes through unchanged.
vi.mock("node:fs/promises", async (original) => {
  const real: typeof FsPromises = await original();
  return {
    ...real,
    open: async (path: string, ...rest: [string?, number?]) => {
      const handle = await real.open(path, ...rest);
      return new Proxy(handle, {
        get: (target, key: keyof typeof handle) => {
          const value: unknown = target[key];
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            if (key === "writeFile" || key === "write") calls.push(`write ${named(path)}`);
            if (key === "sync" || key === "datasync") calls.push(`sync ${named(path)}`);
            return (value as (...given: unknown[]) => unknown).apply(target, args);
          };
        },
      });
    },
    rename: async (from: string, to: string) => {
      calls.push(`rename ${named(from)} ${named(to)}`);
      await real.rename(from, to);
    },
  };
});

test("[DSK1] bytes are synced before their name, and the name before put resolves", async () => {
  const { createFileBlobs } = await import("./blobs.ts");
  root = await mkdtemp(join(tmpdir(), "tributary-durable-"));
  try {
    const blobs = await createFileBlobs({ directory: join(root, "b") });
    const bytes = Uint8Array.of(1, 2, 3);
    const digest = await sha256(bytes);
    const folder = `b/${digest.slice(0, 2)}`;
    const file = `${folder}/${digest}`;
    calls.length = 0;
    await blobs.put(bytes);
    const order = [
      `write ${file}.tmp`,
      `sync ${file}.tmp`,
      `rename ${file}.tmp ${file}`,
      `sync ${folder}`,
      "sync b",
    ];
    // Synced twice is synced.
    expect(calls.filter((call, i) => call !== calls[i - 1])).toEqual(order);

    // The same bytes again: the name may be of a put that never came to its end, so it is synced anew.
    calls.length = 0;
    await blobs.put(bytes);
    expect(calls).toEqual([`sync ${folder}`, "sync b"]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
