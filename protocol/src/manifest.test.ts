import { readFile } from "node:fs/promises";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { KeyRecord, ManifestSubject, ModelManifest, SignedManifest } from "./index.ts";
import {
  encodeManifest,
  followKeys,
  fromBase64Url,
  isPublicKey,
  MAX_MANIFEST_CHARACTERS,
  openManifest,
  parseKeys,
  signingKeyFromSeed,
  signKeyRecord,
  signManifest,
  toBase64Url,
  verifySignature,
} from "./index.ts";

interface Vectors {
  readonly rfc8032: readonly {
    seed: string;
    publicKey: string;
    message: string;
    signature: string;
  }[];
  readonly manifest: SignedManifest & { readonly seed: string };
  readonly handOver: KeyRecord & { readonly previous: object };
}
/** By Python's `cryptography`; the first part is RFC 8032's own. */
const vectors = JSON.parse(
  await readFile(new URL("../../test/vectors/signatures.json", import.meta.url), "utf8"),
) as Vectors;

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const toText = (hex: string) => Buffer.from(hex, "hex").toString("base64url");
const keyOf = (number: number) => signingKeyFromSeed(new Uint8Array(32).fill(number));
const text = new TextEncoder();

const manifest = JSON.parse(vectors.manifest.manifest) as ModelManifest;
const { taskId, modelVersion, digest, bytes, layoutDigest } = manifest;
const subject: ManifestSubject = { taskId, modelVersion, digest, bytes, layoutDigest };
const untrusted = expect.objectContaining({ code: "MODEL_UNTRUSTED", retryable: false });

describe("signatures", () => {
  it("[SIG1] are Ed25519 as RFC 8032 and independent code have it", async () => {
    expect(vectors.rfc8032).toHaveLength(4);
    for (const vector of vectors.rfc8032) {
      const key = await signingKeyFromSeed(fromHex(vector.seed));
      const message = fromHex(vector.message);
      expect(key.publicKey).toBe(toText(vector.publicKey));
      expect(isPublicKey(key.publicKey)).toBe(true);
      expect(await key.sign(message)).toBe(toText(vector.signature));
      expect(await verifySignature(key.publicKey, toText(vector.signature), message)).toBe(true);
    }
  });

  it("[SIG1] of another message, by another key, or changed in any bit are not genuine", async () => {
    const key = await keyOf(1);
    const message = text.encode("a message");
    const signature = await key.sign(message);
    expect(await verifySignature(key.publicKey, signature, message)).toBe(true);
    expect(await verifySignature((await keyOf(2)).publicKey, signature, message)).toBe(false);
    expect(await verifySignature(key.publicKey, signature, text.encode("a messagf"))).toBe(false);
    await fc.assert(
      fc.asyncProperty(fc.nat(64 * 8 - 1), async (bit) => {
        const changed = fromBase64Url(signature);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        expect(await verifySignature(key.publicKey, toBase64Url(changed), message)).toBe(false);
      }),
    );
  });

  it("[SIG1] are false, and no other error, for texts that are no key or no signature", async () => {
    const key = await keyOf(1);
    const message = text.encode("m");
    const signature = await key.sign(message);
    for (const odd of ["", "=".repeat(43), `${key.publicKey}A`, "_".repeat(43), "A".repeat(43)]) {
      expect(await verifySignature(odd as typeof key.publicKey, signature, message)).toBe(false);
    }
    for (const odd of ["", `${signature}A`, signature.slice(1), `${signature.slice(0, 85)}B`]) {
      expect(await verifySignature(key.publicKey, odd, message)).toBe(false);
    }
  });

  it("[SIG2] a runtime without Ed25519 refuses, and says what has it", async () => {
    const key = await keyOf(1);
    const signature = await key.sign(text.encode("m"));
    const { importKey } = crypto.subtle;
    crypto.subtle.importKey = () =>
      Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError"));
    try {
      await expect(verifySignature(key.publicKey, signature, text.encode("m"))).rejects.toEqual(
        expect.objectContaining({
          code: "MODEL_UNTRUSTED",
          message: expect.stringContaining("Ed25519"),
        }),
      );
    } finally {
      crypto.subtle.importKey = importKey;
    }
  });
});

describe("manifests", () => {
  it("[SIG3] that independent code signed are genuine, whatever way their JSON is written", async () => {
    // Python puts a space after each comma: the text is signed, not the value.
    expect(JSON.stringify(manifest)).not.toBe(vectors.manifest.manifest);
    expect(await openManifest(vectors.manifest, subject)).toEqual(manifest);
    const key = await signingKeyFromSeed(fromHex(vectors.manifest.seed));
    expect(await signManifest(vectors.manifest.manifest, key)).toEqual({
      manifest: vectors.manifest.manifest,
      publicKey: vectors.manifest.publicKey,
      signature: vectors.manifest.signature,
    });
  });

  it("[SIG3] with a single character changed are refused", async () => {
    const { manifest: signed } = vectors.manifest;
    await fc.assert(
      fc.asyncProperty(fc.nat(signed.length - 1), fc.string({ maxLength: 1 }), async (at, one) => {
        fc.pre(signed[at] !== one);
        const changed = `${signed.slice(0, at)}${one}${signed.slice(at + 1)}`;
        await expect(
          openManifest({ ...vectors.manifest, manifest: changed }, subject),
        ).rejects.toEqual(untrusted);
      }),
    );
  });

  it("[SIG3] are refused where there is none, or what there is cannot be read", async () => {
    const odd: unknown[] = [undefined, null, 7, {}, { ...vectors.manifest, signature: 7 }];
    for (const signed of odd) {
      await expect(openManifest(signed as SignedManifest, subject)).rejects.toEqual(untrusted);
    }
    const key = await keyOf(1);
    for (const signedText of ["", "null", "7", "{", '{"format":2}', '"format"']) {
      await expect(openManifest(await signManifest(signedText, key), subject)).rejects.toEqual(
        untrusted,
      );
    }
    const newer = await signManifest(JSON.stringify({ ...manifest, format: 2 }), key);
    await expect(openManifest(newer, subject)).rejects.toThrow(/format 1.*newer client/);
  });

  it("[SIG4] of another task, version, digest, size or layout are refused with both values", async () => {
    const others: ManifestSubject[] = [
      { ...subject, taskId: "letters" as typeof taskId },
      { ...subject, modelVersion: 8 },
      { ...subject, digest: "0".repeat(64) as typeof digest },
      { ...subject, bytes: bytes + 1 },
      { ...subject, layoutDigest: "1".repeat(64) as typeof digest },
    ];
    for (const other of others) {
      const field = (Object.keys(subject) as (keyof ManifestSubject)[]).find(
        (name) => other[name] !== subject[name],
      )!;
      await expect(openManifest(vectors.manifest, other)).rejects.toThrow(
        `${field} is ${other[field]}, its manifest was signed for ${subject[field]}`,
      );
      await expect(openManifest(vectors.manifest, other)).rejects.toEqual(untrusted);
    }
  });

  it("[SIG3] are bounded: what readers would refuse is not written, and what is too long not read", async () => {
    const statement = "x".repeat(MAX_MANIFEST_CHARACTERS);
    const long: ModelManifest = { ...manifest, privacy: { mechanism: "none", statement } };
    expect(() => encodeManifest(long)).toThrow(RangeError);
    const signed = await signManifest(JSON.stringify(long), await keyOf(1));
    await expect(openManifest(signed, subject)).rejects.toThrow(/8192 are allowed/);
    expect(JSON.parse(encodeManifest(manifest))).toEqual(manifest);
  });
});

describe("chains of keys", () => {
  const AT = "2026-01-02T03:04:05.678Z";

  async function chainOf(...numbers: number[]): Promise<KeyRecord[]> {
    const keys = await Promise.all(numbers.map(keyOf));
    const records: KeyRecord[] = [];
    for (const [i, key] of keys.entries()) {
      const before = keys[i - 1];
      const { publicKey } = key;
      records.push(
        before === undefined
          ? { publicKey, createdAt: AT }
          : await signKeyRecord(publicKey, AT, before),
      );
    }
    return records;
  }

  it("[SIG5] lead from a trusted key to each that follows it, and to no other", async () => {
    const chain = await chainOf(1, 2, 3, 4);
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) {
        const path = await followKeys(
          chain,
          (key) => key === chain[from]!.publicKey,
          chain[to]!.publicKey,
        );
        // Never backwards: a former key says nothing of the newer ones' trust.
        expect(path, `${from} -> ${to}`).toEqual(
          to < from ? undefined : chain.slice(from + 1, to + 1),
        );
      }
    }
  });

  it("[SIG5] that independent code signed are followed", async () => {
    const { handOver } = vectors;
    const path = await followKeys(
      [handOver],
      (key) => key === vectors.manifest.publicKey,
      handOver.publicKey,
    );
    expect(path).toEqual([handOver]);
  });

  it("[SIG5] with a forged, changed or missing link, or a circle, lead nowhere", async () => {
    const [first, second, third] = (await chainOf(1, 2, 3)) as [KeyRecord, KeyRecord, KeyRecord];
    const follow = (...records: KeyRecord[]) =>
      followKeys(records, (key) => key === first.publicKey, third.publicKey);
    expect(await follow(first, second, third)).toEqual([second, third]);
    const thief = await keyOf(9);
    const forged = await signKeyRecord(third.publicKey, AT, thief);
    const signature = forged.previous!.signature;
    const broken: KeyRecord[][] = [
      [first, third],
      [first, second],
      [first, second, { ...third, createdAt: "2026-01-02T03:04:05.679Z" }],
      [first, second, { ...third, previous: { ...third.previous!, signature } }],
      [first, second, { publicKey: third.publicKey, createdAt: AT }],
      [first, second, forged],
      [await signKeyRecord(second.publicKey, AT, await keyOf(3)), third],
    ];
    for (const records of broken) expect(await follow(...records)).toBeUndefined();
  });

  it("[SIG5] a signed manifest is no hand-over, even if its text reads like one", async () => {
    const [first, second] = (await chainOf(1, 2)) as [KeyRecord, KeyRecord];
    const key = await keyOf(1);
    const { signature } = await signManifest(`${second.publicKey}\n${AT}\n${key.publicKey}`, key);
    const forged = { ...second, previous: { publicKey: first.publicKey, signature } };
    expect(
      await followKeys([forged], (one) => one === first.publicKey, second.publicKey),
    ).toBeUndefined();
  });

  it("[SIG5] are read out of whatever was sent", async () => {
    const chain = await chainOf(1, 2);
    const odd = [null, 7, {}, { publicKey: "x", createdAt: AT }, { ...chain[1], previous: null }];
    expect(parseKeys([...odd, ...chain, { ...chain[1], previous: {} }])).toEqual(chain);
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(Array.isArray(parseKeys(value))).toBe(true);
      }),
    );
  });
});
