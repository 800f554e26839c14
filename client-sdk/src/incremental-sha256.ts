/** SHA-256 that takes its bytes piece by piece, which WebCrypto cannot; loaded for large models alone. */

import { sha256 } from "@noble/hashes/sha2.js";

export const createSha256 = (): ReturnType<typeof sha256.create> => sha256.create();
