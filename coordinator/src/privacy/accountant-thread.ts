/** The thread of reckoner.ts: computes what takes the accountant long. */

import type { Question } from "./computed.ts";
import { compute } from "./computed.ts";
import { answerQuestions } from "../thread.ts";

answerQuestions((question) => ({ answer: compute(question as Question) }));
