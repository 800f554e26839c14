/** A server-only round: N clients check in and report from memory, a version is made, signed and saved. */

import { runApart } from "./apart.ts";
import type { RoundFigures, RoundSize } from "./round-size.ts";
import { spreadOf } from "./measure.ts";
import type { Goal, Row, Section, Spread } from "./section.ts";

const ROUND_SIZE = new URL("./round-size.ts", import.meta.url);
const COHORTS = [10, 100, 500];
const ENCODINGS = ["float32", "int8"] as const;
const LARGEST_COHORT_AT_10_M = 100;
/** Of this many parameters memory is compared; V8 lets garbage lie as it sees fit, so one process tells little. */
const COMPARED = 1e6;
const PROCESSES = 3;

export const roundSection: Section = {
  name: "round",
  title: "A round of the server alone",
  run: async (mini) => {
    const rows: Row[] = [];
    const goals: Goal[] = [];
    for (const kind of ENCODINGS) {
      for (const parameters of mini ? [1_000] : [1e4, 1e5, 1e6, 1e7]) {
        const cohorts = mini
          ? [2, 3]
          : COHORTS.filter((n) => parameters < 1e7 || n <= LARGEST_COHORT_AT_10_M);
        const size = {
          ...{ parameters, encoding: { kind } },
          ...{ runs: mini ? 1 : 5, budgetMs: 3_000 },
        };
        const figures: CohortFigures[] = [];
        for (const clients of cohorts) {
          // Each in its own process: what a former cohort left behind would hide what the next one takes.
          const settings = [JSON.stringify({ ...size, clients } satisfies RoundSize)];
          const processes: RoundFigures[] = [];
          for (let i = 0; i < (parameters === COMPARED ? PROCESSES : 1); i++) {
            const figure = await runApart(ROUND_SIZE, settings, 120_000, ["--expose-gc"]);
            processes.push(figure as RoundFigures);
          }
          figures.push(merge(processes));
        }
        rows.push(...figures.map((figure) => rowOf(size, figure)));
        if (parameters === COMPARED) goals.push(...goalsOf(size, figures));
      }
    }
    return {
      rows,
      goals,
      notes: [
        "Everything but the network: assignment tokens, admission, the reader of updates with its checksum, finiteness, norm and clipping, the weighted sum, the server optimizer, the encoded and signed version in SQLite and files. Bodies come from memory in pieces of 64 KB, all clients at once.",
        `Peak: resident memory above that of the process with the clients' own updates in it; of 1 M parameters that of ${PROCESSES} processes. At most 32 uploads or 256 MB of them are under way at a time, as configured by default.`,
        `Of 10 M parameters no cohort above ${LARGEST_COHORT_AT_10_M} is measured: it would take minutes.`,
      ],
    };
  },
};

/** Of one cohort, in all its processes. */
interface CohortFigures extends Omit<RoundFigures, "peakMb"> {
  readonly peakMb: Spread | undefined;
}

/** Times are those of the process whose peak is in the middle. */
function merge(processes: readonly RoundFigures[]): CohortFigures {
  const sorted = processes.toSorted((a, b) => (a.peakMb ?? 0) - (b.peakMb ?? 0));
  const peaks = sorted.flatMap(({ peakMb }) => (peakMb === undefined ? [] : [peakMb]));
  return {
    ...(sorted[Math.floor(sorted.length / 2)] as RoundFigures),
    peakMb: peaks.length === 0 ? undefined : spreadOf(peaks),
  };
}

function rowOf({ parameters, encoding }: Omit<RoundSize, "clients">, figures: CohortFigures): Row {
  const { clients, wallMs, cpuMs, peakMb } = figures;
  return {
    name: `${encoding.kind}, ${shortly(parameters)} parameters, ${clients} clients`,
    values: {
      "ms CPU": cpuMs,
      ms: wallMs,
      "ns CPU / parameter and client": (1e6 * cpuMs.median) / parameters / clients,
      ...(peakMb === undefined ? {} : { "peak MB": peakMb }),
    },
  };
}

const CPU_GOALS_MS = { float32: 400, int8: 150 };

function goalsOf(
  { encoding }: Pick<RoundSize, "encoding">,
  figures: readonly CohortFigures[],
): Goal[] {
  const of = (clients: number) => figures.find((one) => one.clients === clients);
  const [hundred, most] = [of(100), of(500)];
  const goals: Goal[] = [];
  if (hundred !== undefined) {
    const [measured, aim] = [hundred.cpuMs.median, CPU_GOALS_MS[encoding.kind]];
    goals.push({
      name: `100 clients x 1 M parameters, ${encoding.kind}: ms of CPU`,
      aim: `at most ${aim}`,
      measured,
      isReached: measured <= aim,
    });
  }
  if (hundred?.peakMb !== undefined && most?.peakMb !== undefined) {
    const measured = most.peakMb.median / hundred.peakMb.median;
    goals.push({
      name: `memory of 500 clients over that of 100, 1 M parameters, ${encoding.kind}`,
      aim: "at most 1.1",
      measured,
      isReached: measured <= 1.1,
    });
  }
  return goals;
}

export const shortly = (count: number): string =>
  count >= 1e6 ? `${count / 1e6} M` : count >= 1e3 ? `${count / 1e3} k` : `${count}`;
