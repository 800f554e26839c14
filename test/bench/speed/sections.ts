/** The sections of `npm run bench`, in the order of its tables. A new one gets its line here. */

import { connectionsSection } from "./connections.ts";
import { downloadSection } from "./download.ts";
import { ingestSection } from "./ingest.ts";
import { loopSection } from "./loop.ts";
import { kernelSection } from "./kernel.ts";
import { meanSection } from "./mean.ts";
import { noiseSection } from "./noise.ts";
import { robustSection } from "./robust.ts";
import { roundSection } from "./round.ts";
import type { Section } from "./section.ts";
import { simulationSection } from "./simulation.ts";
import { trainingSection } from "./training.ts";

export const SECTIONS: readonly Section[] = [
  // One a line.
  ingestSection,
  loopSection,
  meanSection,
  robustSection,
  roundSection,
  kernelSection,
  downloadSection,
  connectionsSection,
  noiseSection,
  simulationSection,
  trainingSection,
];
