import { createDecipheriv, hkdfSync } from "node:crypto";

import fc from "fast-check";
import { expect, test } from "vitest";

import { createKeyRing, createSeal, keyIdOf, openSealed } from "./seal.ts";

const key = Buffer.alloc(32, 7);
const seal = createSeal(key);
const other = createSeal(Buffer.alloc(32, 8));
const plain = Uint8Array.from({ length: 300 }, (_, i) => i);

test("[DR1] sealed bytes are AES-256-GCM as documented: header, key by HKDF, place and header authenticated", () => {
  const sealed = Buffer.from(seal.seal("blob x", plain));
  expect(sealed.length).toBe(28 + 300 + 16);
  expect(sealed.subarray(0, 8).toString()).toBe("TRIBSEA1");
  const derive = (what: string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", key, "", `tributary at rest 1, ${what}`, bytes));
  expect(sealed.subarray(8, 16)).toEqual(derive("key id", 8));
  const decipher = createDecipheriv(
    "aes-256-gcm",
    derive("encryption", 32),
    sealed.subarray(16, 28),
  );
  decipher.setAAD(Buffer.concat([sealed.subarray(0, 16), Buffer.from("blob x")]));
  decipher.setAuthTag(sealed.subarray(-16));
  const opened = Buffer.concat([decipher.update(sealed.subarray(28, -16)), decipher.final()]);
  expect(new Uint8Array(opened)).toEqual(plain);
});

test("[DR1] any bytes come back, in their place only and with their key only, and no two sealings are alike", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1000 }),
      fc.string(),
      fc.string(),
      (bytes, place, elsewhere) => {
        const sealed = seal.seal(place, bytes);
        expect(seal.open(place, sealed)).toEqual(new Uint8Array(bytes));
        if (elsewhere !== place) expect(seal.open(elsewhere, sealed)).toBeUndefined();
        expect(other.open(place, sealed)).toBeUndefined();
        expect(Buffer.compare(sealed, seal.seal(place, bytes))).not.toBe(0);
      },
    ),
  );
});

test("[DR1] a change of any bit, and a cut at any place, is noticed", () => {
  const sealed = seal.seal("p", plain);
  for (let i = 0; i < sealed.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      expect(seal.open("p", sealed.with(i, sealed[i]! ^ (1 << bit)))).toBeUndefined();
    }
    expect(seal.open("p", sealed.subarray(0, i))).toBeUndefined();
  }
  expect(seal.open("p", Buffer.concat([sealed, Buffer.alloc(1)]))).toBeUndefined();
});

test("[DR1] what is larger than one piece of the cipher is sealed whole", () => {
  const large = new Uint8Array(2 ** 26 + 3).fill(1).with(2 ** 26 + 1, 2);
  const opened = seal.open("p", seal.seal("p", large));
  expect(opened?.length).toBe(large.length);
  expect(Buffer.compare(opened!, large)).toBe(0);
});

test("[DR2] a key is read from hexadecimal digits, base64 and base64url alike, and its id tells keys apart", () => {
  const keys = ["hex", "base64", "base64url"] as const;
  const ids = keys.map(
    (encoding) => createKeyRing({ encryptionKey: key.toString(encoding) })?.current.keyId,
  );
  expect(new Set(ids)).toEqual(new Set([seal.keyId]));
  expect(other.keyId).not.toBe(seal.keyId);
  expect(keyIdOf(seal.seal("p", plain))).toBe(seal.keyId);
  expect(keyIdOf(plain)).toBeUndefined();
  expect(createKeyRing({})).toBeUndefined();
  const ring = createKeyRing({
    encryptionKey: Buffer.alloc(32, 8).toString("hex"),
    previousEncryptionKey: key.toString("hex"),
  })!;
  expect(openSealed(ring, "p", seal.seal("p", plain))).toEqual(plain);
  expect(openSealed(ring, "p", other.seal("p", plain))).toEqual(plain);
});
