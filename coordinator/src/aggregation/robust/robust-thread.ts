/** The thread of robust-sum.ts: one round's updates in, what the rule makes of them out. */

import { answerQuestions } from "../../thread.ts";
import { encodedRows } from "./encoded-rows.ts";
import { robustMean } from "./robust-mean.ts";
import type { RobustQuestion } from "./robust-sum.ts";

answerQuestions((question) => {
  const { rule, payloads, encoding, parameterCount, ...options } = question as RobustQuestion;
  const answer = robustMean(rule, encodedRows(payloads, encoding, parameterCount), options);
  return { answer, transfer: [answer.buffer as ArrayBuffer] };
});
