/** Keys and signatures for tests: real ones, the same in every run. */

import type { ManifestSubject, SignedManifest, SigningKey } from "@tributary/protocol";
import {
  encodeManifest,
  MANIFEST_FORMAT,
  SIGNING_SEED_BYTES,
  signingKeyFromSeed,
  signManifest,
} from "@tributary/protocol";

/** Another key for every number. */
export const testKey = (number: number): Promise<SigningKey> =>
  signingKeyFromSeed(new Uint8Array(SIGNING_SEED_BYTES).fill(number));

/** The manifest of a version without history, signed. */
export const signFor = (key: SigningKey, subject: ManifestSubject): Promise<SignedManifest> =>
  signManifest(
    encodeManifest({
      format: MANIFEST_FORMAT,
      ...subject,
      createdAt: "2025-10-09T08:53:20.000Z",
      privacy: { mechanism: "none", statement: "none" },
    }),
    key,
  );
