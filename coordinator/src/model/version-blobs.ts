/** The blobs that a version needs: its checkpoint, its copies for serving, the optimizer's state after it. */

import type { Digest, ServingCopies, ServingCopy } from "@tributary/protocol";

export interface VersionBlobs {
  readonly digest: Digest;
  readonly optimizerState?: Digest | undefined;
  readonly copies?: ServingCopies | undefined;
}

export const blobsOf = ({ digest, optimizerState, copies = {} }: VersionBlobs): Digest[] => [
  digest,
  ...(optimizerState === undefined ? [] : [optimizerState]),
  ...Object.values<ServingCopy>(copies).map((copy) => copy.digest),
];
