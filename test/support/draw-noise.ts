/** A process of its own that prints noise of both kinds, and random bytes. */

import {
  createExactNoise,
  createIntegerNoise,
  createSecureRandom,
} from "@tributary/coordinator/privacy";

const random = createSecureRandom();
for (const noise of [createIntegerNoise(random), createExactNoise()]) {
  const sum = new Float64Array(256);
  await noise.add(sum, 2 ** 30);
  process.stdout.write(`${[...sum].join("\n")}\n`);
}
process.stdout.write(
  `${Buffer.from(random.bytes(1_024)).toString("hex").match(/.{16}/g)?.join("\n") ?? ""}\n`,
);
