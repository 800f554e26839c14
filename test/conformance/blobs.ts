/** What every blob store promises (`BlobStore` in the coordinator's `ports.ts`), as tests to run on each kind. */

import type { Digest } from "@tributary/protocol";
import { sha256 } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { BlobStore } from "../../coordinator/src/ports.ts";

export interface BlobsUnderTest extends AsyncDisposable {
  readonly blobs: BlobStore;
  /** Opens the blobs again, as after a restart; absent where nothing is kept. */
  readonly reopen?: () => Promise<BlobStore>;
}

/** Bytes that differ from those of every other `seed`. */
export const bytesOf = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, i) => (i * seed + seed) % 251);

export function blobsConformance(name: string, open: () => Promise<BlobsUnderTest>): void {
  describe(`blobs: ${name}`, () => {
    test("[ST31] bytes are found under the SHA-256 of what they are, whatever their size", async () => {
      await using under = await open();
      for (const length of [0, 1, 4096, 3_000_001]) {
        const bytes = bytesOf(length);
        const digest = await under.blobs.put(bytes);
        expect(digest).toBe(await sha256(bytes));
        const found = await under.blobs.get(digest);
        expect(found?.length).toBe(length);
        expect(Buffer.compare(found!, bytes)).toBe(0);
      }
    });

    test("[ST31] a view into a larger buffer is stored as what it shows", async () => {
      await using under = await open();
      const view = bytesOf(100).subarray(10, 20);
      expect(await under.blobs.get(await under.blobs.put(view))).toEqual(view.slice());
    });

    test("[ST32] what was never put, or is no digest, is not there", async () => {
      await using under = await open();
      const digest = await under.blobs.put(bytesOf(10));
      const strangers = [
        await sha256(bytesOf(11)),
        "" as Digest,
        digest.toUpperCase() as Digest,
        `../${digest.slice(0, 2)}/${digest}` as Digest,
        `${digest}/../${digest}` as Digest,
      ];
      for (const stranger of strangers) {
        expect(await under.blobs.get(stranger)).toBeUndefined();
      }
    });

    test("[ST33] bytes that come out can be written to without harm to what is stored", async () => {
      await using under = await open();
      const bytes = bytesOf(100);
      const digest = await under.blobs.put(bytes);
      bytes.fill(0);
      (await under.blobs.get(digest))?.fill(0);
      expect(await under.blobs.get(digest)).toEqual(bytesOf(100));
    });

    test("[ST34] the same bytes may be put again and at the same time, others among them", async () => {
      await using under = await open();
      const seeds = Array.from({ length: 40 }, (_, i) => 1 + (i % 4));
      const digests = await Promise.all(
        seeds.map((seed) => under.blobs.put(bytesOf(100_000, seed))),
      );
      expect(new Set(digests).size).toBe(4);
      for (const [i, digest] of digests.entries()) {
        expect(Buffer.compare((await under.blobs.get(digest))!, bytesOf(100_000, seeds[i]))).toBe(
          0,
        );
      }
    });

    test("[ST44] a deleted blob is gone, deleting again changes nothing, and it can be put again", async () => {
      await using under = await open();
      const { blobs } = under;
      const kept = await blobs.put(Uint8Array.of(1));
      const digest = await blobs.put(Uint8Array.of(2));
      await blobs.delete(digest);
      await blobs.delete(digest);
      await blobs.delete("../../etc/passwd" as Digest);
      expect(await blobs.get(digest)).toBeUndefined();
      expect(await blobs.get(kept)).toEqual(Uint8Array.of(1));
      expect(await blobs.put(Uint8Array.of(2))).toBe(digest);
      expect(await blobs.get(digest)).toEqual(Uint8Array.of(2));
    });

    test("[ST35] blobs survive a restart", async ({ skip }) => {
      await using under = await open();
      if (under.reopen === undefined) return skip("nothing is kept");
      const digests = await Promise.all(
        [1, 2, 3].map((seed) => under.blobs.put(bytesOf(50, seed))),
      );
      const again = await under.reopen();
      for (const [i, digest] of digests.entries()) {
        expect(await again.get(digest)).toEqual(bytesOf(50, i + 1));
      }
    });
  });
}
