/**
 * Thousands of clients on one coordinator: what each costs, what they cost while nothing happens, how fast they
 * check in, and how soon all of them know their place. Beside it a bare socket.io server in the same run.
 */

import { setTimeout as pause } from "node:timers/promises";

import type { CheckInReply, TaskSpecInput } from "@tributary/protocol";

import { startCoordinator } from "../../support/coordinator.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { connectRaw } from "../../support/raw-client.ts";
import type { Crowd } from "./connections/crowds.ts";
import { startCrowd } from "./connections/crowds.ts";
import type { CrowdAnswer, CrowdOrder } from "./connections/messages.ts";
import { spreadOf } from "./measure.ts";
import type { Row, Section } from "./section.ts";
import type { Server } from "./servers/server.ts";
import { startBareSocketIo, startCoordinatorServer } from "./servers/server.ts";

interface Size {
  readonly clients: number;
  readonly crowds: number;
  readonly repetitions: number;
  /** How often memory and idleness are looked at while nothing happens. */
  readonly windows: number;
  /** Longer than engine.io's 25 s, so that every connection has had its heartbeat. */
  readonly idleMs: number;
}
const FULL: Size = { clients: 10_000, crowds: 2, repetitions: 3, windows: 3, idleMs: 26_000 };
const MINI: Size = { clients: 20, crowds: 2, repetitions: 1, windows: 1, idleMs: 500 };

/** As many from one address as one NAT may have in front of it. */
const PER_SOURCE = 4_000;
const TENSORS = [
  { name: "conv/kernel", shape: [3, 3, 1, 8] },
  { name: "conv/bias", shape: [8] },
  { name: "dense/kernel", shape: [512, 10] },
  { name: "dense/bias", shape: [10] },
];

const taskOf = (taskId: string, clients: number): TaskSpecInput => ({
  taskId,
  model: { tensors: TENSORS },
  sampler: { kind: "all" },
  schedule: { minClients: clients, minReports: 1, selectionDeadlineMs: 600_000 },
});

interface Figures {
  readonly connectCpuMs: number;
  /** Of times in which nothing happens. */
  readonly windows: readonly {
    readonly rssBytesEach: number;
    readonly heapBytesEach: number;
    readonly idleShare: number;
  }[];
  readonly checkIns: readonly { readonly wallMs: number; readonly cpuMs: number }[];
  readonly announcements: readonly {
    readonly wallMs: number;
    readonly cpuMs: number;
    readonly bytesEach: number;
  }[];
}

/** What of the server is measured, and how a round is begun there. */
interface Subject {
  readonly server: Server;
  /** Before any client checks in for it. */
  prepare(taskId: string): Promise<void>;
  /** Tells all who have checked in of their places. */
  announce(taskId: string): Promise<void>;
}

async function measure({ server, prepare, announce }: Subject, size: Size): Promise<Figures> {
  const crowds: Crowd[] = [];
  try {
    for (let i = 0; i < size.crowds; i++) crowds.push(startCrowd());
    const all = async (order: (crowd: number) => CrowdOrder) =>
      merge(await Promise.all(crowds.map((crowd, i) => crowd.carryOut(order(i)))));

    const empty = await server.vitals(true);
    const each = size.clients / size.crowds;
    const connected = await all((i) => ({
      do: "connect",
      url: server.url,
      clients: each,
      firstSource: 2 + i * Math.ceil(each / PER_SOURCE),
      perSource: PER_SOURCE,
    }));
    if (connected.failures > 0) throw new Error(`${connected.failures} clients are not connected`);
    const afterConnect = await server.vitals();

    const checkIns: { wallMs: number; cpuMs: number }[] = [];
    const announcements: { wallMs: number; cpuMs: number; bytesEach: number }[] = [];
    const windows: Figures["windows"][number][] = [];
    for (let i = 0; i < size.repetitions; i++) {
      const taskId = `crowd-${i}`;
      await prepare(taskId);
      const before = await server.vitals();
      const answered = await all(() => ({ do: "checkIn", taskId }));
      const after = await server.vitals();
      if (answered.failures > 0) throw new Error(`${answered.failures} check-ins were refused`);
      checkIns.push({ wallMs: answered.wallMs, cpuMs: after.cpuMs - before.cpuMs });
      while (windows.length < size.windows) {
        const full = await server.vitals(true);
        const bytesEach = (what: "rss" | "heapUsed") => (full[what] - empty[what]) / size.clients;
        windows.push({
          ...{ rssBytesEach: bytesEach("rss"), heapBytesEach: bytesEach("heapUsed") },
          idleShare: await idle(server, size.idleMs),
        });
      }
      const told = all(() => ({ do: "assigned", taskId }));
      // Awaited below, unless something else fails first.
      told.catch(() => undefined);
      const quiet = await server.vitals();
      const began = process.hrtime.bigint();
      await announce(taskId);
      const { doneNs, bytes } = await told;
      const done = await server.vitals();
      announcements.push({
        wallMs: Number(doneNs - began) / 1e6,
        cpuMs: done.cpuMs - quiet.cpuMs,
        bytesEach: bytes / size.clients,
      });
    }
    const connectCpuMs = afterConnect.cpuMs - empty.cpuMs;
    return { connectCpuMs, windows, checkIns, announcements };
  } finally {
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  }
}

/** The share of one core that goes into connections on which nothing happens. */
async function idle(server: Server, spanMs: number): Promise<number> {
  const before = await server.vitals();
  await pause(spanMs);
  const after = await server.vitals();
  return (after.cpuMs - before.cpuMs) / (after.wallMs - before.wallMs);
}

function merge(answers: readonly CrowdAnswer[]) {
  const began = answers.map(({ beganNs }) => BigInt(beganNs)).reduce((a, b) => (a < b ? a : b));
  const doneNs = answers.map(({ doneNs: done }) => BigInt(done)).reduce((a, b) => (a > b ? a : b));
  const sum = (of: (answer: CrowdAnswer) => number) =>
    answers.reduce((total, answer) => total + of(answer), 0);
  return {
    wallMs: Number(doneNs - began) / 1e6,
    doneNs,
    failures: sum(({ failures }) => failures),
    bytes: sum(({ bytes }) => bytes),
  };
}

async function coordinator(size: Size): Promise<Figures> {
  // Room for the one that begins a round.
  const limits = { maxClients: size.clients + 1 };
  await using server = await startCoordinatorServer({ limits });
  let last: RawClient | undefined;
  try {
    return await measure(
      {
        server,
        // One more than there are, so that all of them wait until the last one comes.
        prepare: (taskId) => server.createTask(taskOf(taskId, size.clients + 1)),
        announce: async (taskId) => {
          last ??= await connectRaw(server.url);
          await last.checkIn(taskId);
        },
      },
      size,
    );
  } finally {
    await last?.[Symbol.asyncDispose]();
  }
}

/** A check-in's answer and an assignment of the same size as ours, so that bytes make no difference. */
async function bare(size: Size): Promise<Figures> {
  const { reply, assignment } = await messages();
  await using server = await startBareSocketIo({ ok: true, value: reply });
  return await measure(
    {
      server,
      prepare: async () => undefined,
      announce: async (taskId) => {
        await fetch(`${server.url}/announce`, {
          method: "POST",
          body: JSON.stringify({ ...assignment, taskId }),
        });
      },
    },
    size,
  );
}

async function messages() {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(taskOf("one", 1));
  await using client = await connectRaw(running.url);
  const told = client.nextAssignment();
  const { clientId, task } = await client.checkIn("one");
  const reply: CheckInReply = { clientId, task };
  return { reply, assignment: await told };
}

const rowOf = (name: string, figures: Figures, clients: number, isReference = false): Row => ({
  name,
  ...(isReference ? { isReference } : {}),
  values: {
    "KB RSS each": spreadOf(figures.windows.map(({ rssBytesEach }) => rssBytesEach / 1000)),
    "KB heap each": spreadOf(figures.windows.map(({ heapBytesEach }) => heapBytesEach / 1000)),
    "µs CPU to connect": (figures.connectCpuMs * 1000) / clients,
    "% of a core idle": spreadOf(figures.windows.map(({ idleShare }) => idleShare * 100)),
    "µs CPU per check-in": spreadOf(figures.checkIns.map(({ cpuMs }) => (cpuMs * 1000) / clients)),
    "check-ins/s": spreadOf(figures.checkIns.map(({ wallMs }) => (clients * 1000) / wallMs)),
    "ms to tell all": spreadOf(figures.announcements.map(({ wallMs }) => wallMs)),
    "ms CPU to tell all": spreadOf(figures.announcements.map(({ cpuMs }) => cpuMs)),
    "bytes told each": figures.announcements[0]?.bytesEach ?? Number.NaN,
  },
});

export const connectionsSection: Section = {
  name: "connections",
  title: "Many clients on one process",
  run: async (mini) => {
    const size = mini ? MINI : FULL;
    const { clients } = size;
    const reference = await bare(size);
    const ours = await coordinator(size);
    const row = rowOf(`${clients} clients`, ours, clients);
    const median = (values: readonly number[]) => spreadOf(values).median;
    const goal = (name: string, aim: string, measured: number, isReached: boolean) => ({
      ...{ name, aim, measured, isReached },
    });
    const each = median(ours.windows.map(({ rssBytesEach }) => rssBytesEach / 1000));
    const idlePercent = median(ours.windows.map(({ idleShare }) => idleShare * 100));
    const tellMs = median(ours.announcements.map(({ wallMs }) => wallMs));
    const perSecond = median(ours.checkIns.map(({ wallMs }) => (clients * 1000) / wallMs));
    return {
      rows: [row, rowOf(`${clients} clients, bare socket.io`, reference, clients, true)],
      goals: [
        goal("memory (RSS) of a connected client", "at most 17 KB", each, each <= 17),
        goal("a core's share while idle", "below 5 %", idlePercent, idlePercent < 5),
        goal("a round announced to all", "within 1000 ms", tellMs, tellMs <= 1000),
        goal("check-ins", "at least 2000/s", perSecond, perSecond >= 2000),
      ],
      notes: [
        "Clients are in two processes of their own on the same cores; each server runs alone, one after the other.",
        "RSS and heap are after garbage collection, with every client checked in, before each time of idleness. To connect is of one run, the mean of all clients. A round is announced from the check-in of the last client that it waits for to the last client's receipt: cohort drawn, saved in SQLite, a token signed for each.",
      ],
    };
  },
};
