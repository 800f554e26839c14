/** The thread of exact-noise.ts: draws as many samples as it is asked for. */

import { discreteGaussian } from "./discrete-gaussian.ts";
import type { NoiseQuestion } from "./exact-noise.ts";
import { createSecureRandom } from "./random.ts";
import { answerQuestions } from "./thread.ts";

// Of this thread alone, and gone with it.
const random = createSecureRandom();

answerQuestions((question) => {
  const { samples, stddev } = question as NoiseQuestion;
  const { sample } = discreteGaussian(stddev, random);
  const answer = new Float64Array(samples);
  for (let i = 0; i < samples; i++) answer[i] = sample();
  return { answer, transfer: [answer.buffer] };
});
