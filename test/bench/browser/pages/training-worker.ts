/** The benchmark's Worker. */

import { serveWorker } from "@tributary/client-sdk/worker";

import { loadTf } from "./tf.ts";
import type { Workload } from "./workload.ts";
import { makeTrainer } from "./workload.ts";

serveWorker({ trainer: async (workload: Workload) => makeTrainer(await loadTf(), workload) });
