/** Damaged inputs made from sound ones: what a network, a disk or an enemy makes of bytes, texts and messages. */

import fc from "fast-check";

type Bytes = Uint8Array<ArrayBuffer>;
type Harm = (bytes: Bytes, others: readonly Bytes[]) => Bytes;

const place = fc.nat(0xffff);
const within = (at: number, length: number) => (length === 0 ? 0 : at % length);

/** Values on which length fields, counts and dimensions break. */
const TELLING = [0, 1, 2, 3, 4, 7, 63, 64, 65, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000];
const telling32 = fc.oneof(
  fc.constantFrom(...TELLING, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff),
  fc.nat(0xffffffff),
);

const concat = (...parts: readonly Uint8Array[]): Bytes => new Uint8Array(Buffer.concat(parts));

const harm: fc.Arbitrary<Harm> = fc.oneof(
  fc.tuple(place, fc.nat(7)).map(([at, bit]): Harm => (bytes) => {
    if (bytes.length > 0) bytes[within(at, bytes.length)]! ^= 1 << bit;
    return bytes;
  }),
  fc.tuple(place, fc.nat(255)).map(([at, value]): Harm => (bytes) => {
    if (bytes.length > 0) bytes[within(at, bytes.length)] = value;
    return bytes;
  }),
  // A length that lies: any aligned word.
  fc.tuple(place, telling32, fc.boolean()).map(([at, value, little]): Harm => (bytes) => {
    if (bytes.length < 4) return bytes;
    const words = Math.floor(bytes.length / 4);
    new DataView(bytes.buffer).setUint32(4 * within(at, Math.min(words, 20)), value, little);
    return bytes;
  }),
  place.map(
    (at): Harm =>
      (bytes) =>
        bytes.slice(0, within(at, bytes.length + 1)),
  ),
  fc.uint8Array({ maxLength: 8 }).map(
    (tail): Harm =>
      (bytes) =>
        concat(bytes, tail),
  ),
  // A piece that is missing, comes twice, or comes from another message.
  fc.tuple(place, fc.nat(40)).map(([at, length]): Harm => (bytes) => {
    const from = within(at, bytes.length);
    return concat(bytes.subarray(0, from), bytes.subarray(from + length));
  }),
  fc.tuple(place, fc.nat(40)).map(([at, length]): Harm => (bytes) => {
    const from = within(at, bytes.length);
    return concat(bytes.subarray(0, from + length), bytes.subarray(from));
  }),
  fc.tuple(place, place, place).map(([which, at, cut]): Harm => (bytes, others) => {
    const other = others[within(which, others.length)]!;
    return concat(
      bytes.subarray(0, within(at, bytes.length + 1)),
      other.subarray(within(cut, other.length + 1)),
    );
  }),
);

/** One of `sound` with up to four things wrong; sometimes with none, and sometimes noise. */
export function damagedBytes(sound: readonly Uint8Array[]): fc.Arbitrary<Bytes> {
  const own = sound.map((bytes) => new Uint8Array(bytes));
  const changed = fc
    .tuple(fc.nat(own.length - 1), fc.array(harm, { maxLength: 4 }))
    .map(([which, harms]) =>
      harms.reduce((bytes, apply) => apply(bytes, own), own[which]!.slice()),
    );
  return fc.oneof(
    { weight: 19, arbitrary: changed },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
    },
  );
}

/** Texts likewise; what is no UTF-8 any more becomes replacement characters, as it does off a wire. */
export const damagedText = (sound: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: damagedBytes(sound.map((text) => Buffer.from(text))).map((bytes) =>
        Buffer.from(bytes).toString(),
      ),
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 100 }) },
  );

/** Values on which checks of messages break. */
const TELLING_VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    0.5,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    -(2 ** 53),
    1e308,
    5e-324,
    Infinity,
  ],
  ...["", "0", "NaN", "__proto__", "constructor", "a", "A", "\u0000", "\ud800", "x".repeat(300)],
  ...[[], {}, [[]], [null], { length: 1 }, { $number: "NaN" }, { $number: {} }, { kind: "none" }],
];
const TELLING_KEYS = ["__proto__", "constructor", "toString", "toJSON", "kind", "extra", "", "0"];

type Spoiling = (value: unknown) => unknown;
interface Spot {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

function spotsOf(value: unknown, into: Spot[] = []): Spot[] {
  if (typeof value !== "object" || value === null) return into;
  for (const key of Object.keys(value)) {
    const holder = value as Record<string, unknown>;
    into.push({ holder, key });
    spotsOf(holder[key], into);
  }
  return into;
}

const put = ({ holder, key }: Spot, value: unknown) =>
  // Not by assignment, which takes "__proto__" for something else.
  Object.defineProperty(holder, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });

const spoiling: fc.Arbitrary<Spoiling> = fc.oneof(
  fc.tuple(place, fc.constantFrom(...TELLING_VALUES)).map(([at, value]): Spoiling => (root) => {
    const spots = spotsOf(root);
    const spot = spots[within(at, spots.length)];
    // Copies, here and below: a value that one case changes must not be there in the next.
    if (spot === undefined) return structuredClone(value);
    put(spot, structuredClone(value));
    return root;
  }),
  place.map((at): Spoiling => (root) => {
    const spots = spotsOf(root);
    const spot = spots[within(at, spots.length)];
    if (spot !== undefined) Reflect.deleteProperty(spot.holder, spot.key);
    return root;
  }),
  fc
    .tuple(place, fc.constantFrom(...TELLING_KEYS), fc.constantFrom(...TELLING_VALUES))
    .map(([at, key, value]): Spoiling => (root) => {
      const holders = [root, ...spotsOf(root).map((spot) => spot.holder[spot.key])].filter(
        (held): held is Record<string, unknown> => typeof held === "object" && held !== null,
      );
      const holder = holders[within(at, holders.length)];
      if (holder !== undefined) put({ holder, key }, structuredClone(value));
      return root;
    }),
  fc.tuple(place, place).map(([to, from]): Spoiling => (root) => {
    const spots = spotsOf(root);
    const target = spots[within(to, spots.length)];
    const source = spots[within(from, spots.length)];
    if (target !== undefined && source !== undefined) {
      put(target, structuredClone(source.holder[source.key]));
    }
    return root;
  }),
);

/** One of the `sound` messages with up to three things wrong; sometimes with none, and sometimes any JSON. */
export const spoiltValue = (sound: readonly unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    {
      weight: 19,
      arbitrary: fc
        .tuple(fc.nat(sound.length - 1), fc.array(spoiling, { maxLength: 3 }))
        .map(([which, spoilings]) =>
          spoilings.reduce<unknown>((value, spoil) => spoil(value), structuredClone(sound[which])),
        ),
    },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  );

/** The same as it comes off a wire: JSON has no holes and no NaN, and 1e999 is an infinity. */
export const spoiltJson = (sound: readonly unknown[]): fc.Arbitrary<unknown> =>
  spoiltValue(sound).map((value) => {
    const text = JSON.stringify(value, (_key, member: unknown) =>
      member === Infinity ? "an infinity" : member,
    ) as string | undefined;
    return JSON.parse((text ?? "null").replaceAll('"an infinity"', "1e999")) as unknown;
  });
