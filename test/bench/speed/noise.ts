/** Samples of privacy's noise per second, beside numpy's generator, which is not cryptographic. */

import { benchNoise } from "../privacy/noise.ts";
import type { Section } from "./section.ts";

export const noiseSection: Section = {
  name: "noise",
  title: "Noise of differential privacy",
  run: async (mini) => {
    const { cases } = await benchNoise(
      mini
        ? { fast: 100_000, exact: 10_000, runs: 1 }
        : { fast: 10_000_000, exact: 2_000_000, runs: 5 },
    );
    return {
      rows: cases.map(({ name, perWallSecond, perCpuSecond, longestTurnCpuMs }) => ({
        name,
        isReference: name.startsWith("numpy"),
        values: {
          "M samples/s CPU": perCpuSecond,
          "M samples/s": perWallSecond,
          ...(longestTurnCpuMs === undefined ? {} : { "longest turn, ms CPU": longestTurnCpuMs }),
        },
      })),
      notes: [
        "Fast noise is Gaussian over AES-CTR, exact noise is the discrete Gaussian in a thread; numpy's PCG64 is not cryptographic.",
        ...(cases.some(({ name }) => name.startsWith("numpy"))
          ? []
          : ["numpy is not here, so nothing is compared with it."]),
      ],
    };
  },
};
