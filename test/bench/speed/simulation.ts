/** Virtual clients per second, beside the same task with the same trainers over real sockets, in the same run. */

import { createClient } from "@tributary/client-sdk";
import { createCoordinator } from "@tributary/coordinator";
import type { TaskSpec, TaskSpecInput } from "@tributary/protocol";
import { createLayout } from "@tributary/protocol";

// From source, as the benchmark itself runs: a thread of the compiled package would look for its modules in both places.
import {
  simulate,
  simulatedClientKey,
  syntheticClients,
} from "../../../coordinator/src/simulation/index.ts";
import { quiet } from "../../support/coordinator.ts";
import { spreadOf } from "./measure.ts";
import type { Row, Section } from "./section.ts";

interface Size {
  readonly clients: number;
  readonly cohort: number;
  readonly rounds: number;
  readonly parameters: number;
  readonly runs: number;
}

const FULL: Size = { clients: 500, cohort: 100, rounds: 10, parameters: 10_000, runs: 3 };
const MINI: Size = { clients: 20, cohort: 10, rounds: 2, parameters: 100, runs: 1 };
const SEED = 1;

function taskOf({ clients, cohort, rounds, parameters }: Size): TaskSpecInput {
  return {
    taskId: "bench",
    model: { tensors: [{ name: "w", shape: [parameters] }] },
    plan: { seed: 7 },
    sampler: { kind: "uniform", cohortSize: cohort, overSelection: 0, seed: 3 },
    schedule: { minClients: clients, minReports: cohort },
    stop: { maxRounds: rounds },
  };
}

interface Pace {
  readonly perSecond: number;
  readonly cpuMsPerClient: number;
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const virtually = (size: Size, threads: number) => async (): Promise<Pace> => {
  const before = cpuMs();
  const { report, pace } = await simulate({
    task: taskOf(size),
    clients: { kind: "synthetic", options: { clients: size.clients } },
    ...{ seed: SEED, threads },
  });
  const updates = report.totals.counted;
  return {
    perSecond: updates / pace.seconds,
    cpuMsPerClient: (cpuMs() - before) / updates,
  };
};

/** From the moment when all are there to the end of the task. */
const overSockets = (size: Size) => async (): Promise<Pace> => {
  const task = taskOf(size);
  const layout = await createLayout(task.model.tensors);
  const settings = { seed: SEED, layout, task: task as unknown as TaskSpec };
  const population = await syntheticClients({ clients: size.clients })(settings);
  const coordinator = await createCoordinator({
    config: { server: { port: 0 }, storage: { kind: "memory" } },
    ...{ logger: quiet, evaluators: {} },
  });
  await coordinator.tasks.create(task);
  const { url } = await coordinator.listen();
  let began = performance.now();
  let before = cpuMs();
  coordinator.events.subscribe(({ type, data }) => {
    if (type === "round:phaseChanged" && data.roundNumber === 1 && data.phase === "reporting") {
      began = performance.now();
      before = cpuMs();
    }
  });
  const real = await Promise.all(
    Array.from({ length: size.clients }, async (_, index) => {
      const client = createClient({ url, clientKey: simulatedClientKey(SEED, index) });
      const trainer = await population.trainer(index);
      return { client, participant: client.join("bench", { trainer }) };
    }),
  );
  await Promise.all(real.map(({ participant }) => participant.done));
  const seconds = (performance.now() - began) / 1000;
  const cpu = cpuMs() - before;
  await Promise.all(real.map(({ client }) => client.close()));
  await coordinator.close();
  const updates = size.cohort * size.rounds;
  return { perSecond: updates / seconds, cpuMsPerClient: cpu / updates };
};

export const simulationSection: Section = {
  name: "simulation",
  title: "Simulation: virtual clients per second",
  run: async (mini) => {
    const size = mini ? MINI : FULL;
    const cases = [
      { name: "simulated, 1 thread", isReference: false, run: virtually(size, 1) },
      { name: "simulated, 2 threads", isReference: false, run: virtually(size, 2) },
      { name: "over real sockets", isReference: true, run: overSockets(size) },
    ];
    const paces = cases.map((): Pace[] => []);
    for (let turn = 0; turn < size.runs; turn++) {
      for (const [i, { run }] of cases.entries()) paces[i]?.push(await run());
    }
    const rows = cases.map(({ name, isReference }, i): Row => ({
      name,
      isReference,
      values: {
        "clients/s": spreadOf((paces[i] ?? []).map(({ perSecond }) => perSecond)),
        "ms CPU per client": spreadOf((paces[i] ?? []).map(({ cpuMsPerClient }) => cpuMsPerClient)),
      },
    }));
    const { clients, cohort, rounds, parameters } = size;
    return {
      rows,
      notes: [
        `${clients} clients of a synthetic problem, ${cohort} of them in each of ${rounds} rounds, ${parameters} parameters; the same trainers in all cases.`,
        "A simulation's time has its clients' arrivals in it, its CPU time also the start of its threads. Over sockets coordinator and clients share a process and a core, and both times begin when all are connected.",
      ],
    };
  },
};
