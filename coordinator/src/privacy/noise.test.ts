import { expect, test } from "vitest";

import { createNoise } from "./noise.ts";

test("[NS8] a task gets the noise it asks for, and fast noise where it asks for none", async () => {
  const central = { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 1 } as const;
  // Exact noise is drawn in a thread, which has a source of its own.
  const broken = {
    fill: () => {
      throw new Error("drawn here");
    },
  };
  const exact = createNoise({ privacy: { ...central, noise: "exact" } }, broken);
  const sum = new Float64Array(100);
  await exact.add(sum, 2 ** 20);
  expect(new Set(sum).size).toBeGreaterThan(90);
  for (const privacy of [central, { ...central, noise: "fast" } as const]) {
    await expect(createNoise({ privacy }, broken).add(sum, 1)).rejects.toThrow("drawn here");
  }
});
