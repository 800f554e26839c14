/** Processes full of clients, from source. */

import { fileURLToPath } from "node:url";

import { answerOf, endChild, startChild } from "../servers/child.ts";
import type { CrowdAnswer, CrowdOrder } from "./messages.ts";

const FROM_SOURCE = ["--conditions=@tributary/source", "--import=jiti/register"];
const CROWD = fileURLToPath(new URL("./crowd.ts", import.meta.url));

export interface Crowd extends AsyncDisposable {
  carryOut(order: CrowdOrder): Promise<CrowdAnswer>;
}

export function startCrowd(): Crowd {
  const child = startChild([...FROM_SOURCE, CROWD]);
  child.stderr?.pipe(process.stderr);
  return {
    carryOut: (order) => answerOf<CrowdAnswer>(child, order),
    [Symbol.asyncDispose]: () => endChild(child),
  };
}
