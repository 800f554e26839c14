/** The matrix of a task's run, computed once: what it costs takes as many steps as the run has. */

import type { MatrixPrivacy } from "@tributary/protocol";

import type { Factorization } from "../privacy/matrix/factorization.ts";
import { createFactorization } from "../privacy/matrix/factorization.ts";

const factorizations = new WeakMap<MatrixPrivacy, Factorization>();

export function factorizationOf(privacy: MatrixPrivacy): Factorization {
  const known = factorizations.get(privacy);
  if (known !== undefined) return known;
  const made = createFactorization(privacy);
  factorizations.set(privacy, made);
  return made;
}
