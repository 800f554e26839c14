/** The thread of exact-noise.ts: draws as many samples as it is asked for. */

import type { DiscreteGaussian } from "./discrete-gaussian.ts";
import { discreteGaussian } from "./discrete-gaussian.ts";
import type { NoiseQuestion } from "./exact-noise.ts";
import { createSecureRandom } from "./random.ts";
import { answerQuestions } from "../thread.ts";

// Of this thread alone, and gone with it.
const random = createSecureRandom();

/** The sampler of the last question: one that is kept is compiled once, which doubles the speed. */
let last: { readonly stddev: number; readonly gaussian: DiscreteGaussian } | undefined;

answerQuestions((question) => {
  const { samples, stddev } = question as NoiseQuestion;
  if (last?.stddev !== stddev) last = { stddev, gaussian: discreteGaussian(stddev, random) };
  const { sample } = last.gaussian;
  const answer = new Float64Array(samples);
  for (let i = 0; i < samples; i++) answer[i] = sample();
  return { answer, transfer: [answer.buffer] };
});
