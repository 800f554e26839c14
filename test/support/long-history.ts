/** A task with thousands of rounds, written straight into the store's file: rounds that were run would take an hour. */

import type { Evaluation, TaskSpecInput } from "@tributary/protocol";
import { parseTaskId, roundIdOf } from "@tributary/protocol";
import { createCoordinator } from "@tributary/coordinator";

import type {
  AbandonedRoundRecord,
  CommittedRoundRecord,
  ModelVersionRecord,
} from "../../coordinator/src/ports.ts";
import { decodeRecord, encodeRecord } from "../../coordinator/src/storage/record-json.ts";
import { STORE_FILE } from "../../coordinator/src/storage/directory.ts";
import { loadSqliteDriver } from "../../coordinator/src/storage/sqlite-driver.ts";
import { quiet, smallTask } from "./coordinator.ts";
import { createRandom } from "./random.ts";

export interface LongHistoryOptions {
  /** Of the data of a coordinator that does not run. */
  readonly directory: string;
  readonly taskId: string;
  readonly rounds: number;
  /** Where its figures end up; the same seed gives the same figures. */
  readonly seed?: number;
  readonly spec?: Partial<TaskSpecInput>;
}

const DAY_MS = 86_400_000;
const EPOCH = Date.UTC(2026, 0, 5, 8);
/** From the beginning of one round to that of the next. */
const PACE_MS = DAY_MS / 480;
const CLASSES = 10;

/** A learning curve with noise, rounds of uneven length, and one in 25 that comes to nothing. */
export async function writeLongHistory(options: LongHistoryOptions): Promise<void> {
  const { directory, rounds, seed = 1 } = options;
  const taskId = parseTaskId(options.taskId);
  const coordinator = await createCoordinator({
    logger: quiet,
    config: { storage: { directory }, server: { port: 0 } },
  });
  await coordinator.tasks.create(smallTask({ taskId, ...options.spec }));
  await coordinator.tasks.pause(taskId);
  await coordinator.close();

  const database = (await loadSqliteDriver()).connect(`${directory}/${STORE_FILE}`);
  const { next: random } = createRandom(seed);
  const first = database
    .prepare("SELECT record FROM model_versions WHERE task_id = ? AND model_version = 0")
    .get(taskId);
  const initial = decodeRecord(String(first?.record)) as ModelVersionRecord;
  const putVersion = database.prepare(
    "INSERT INTO model_versions (task_id, model_version, record) VALUES (?, ?, ?)",
  );
  const putRound = database.prepare(
    "INSERT INTO rounds (round_id, task_id, round_number, base_model_version, record) VALUES (?, ?, ?, ?, ?)",
  );
  database.exec("BEGIN");
  let modelVersion = 0;
  for (let roundNumber = 1; roundNumber <= rounds; roundNumber++) {
    const openedAt = EPOCH + roundNumber * PACE_MS;
    const selecting = Math.round(400 + 900 * random());
    const reporting = Math.round(5_000 + 20_000 * random() ** 3);
    const aggregating = Math.round(80 + 60 * random());
    const selected = 100;
    const isAbandoned = random() < 0.04;
    const reported = isAbandoned ? 41 : 80 + Math.floor(20 * random());
    const at = (offsetMs: number) => new Date(openedAt + offsetMs).toISOString();
    const base = {
      ...{ roundId: roundIdOf(taskId, roundNumber), taskId, roundNumber, openedAt },
      baseModelVersion: modelVersion,
      phases: [
        { phase: "selecting", startedAt: at(0), durationMs: selecting },
        { phase: "reporting", startedAt: at(selecting), durationMs: reporting },
        ...(isAbandoned
          ? []
          : [
              {
                phase: "aggregating",
                startedAt: at(selecting + reporting),
                durationMs: aggregating,
              } as const,
            ]),
      ],
      participants: {
        ...{ selected, reported, pending: 0, declined: 1, left: 2, disconnected: 3, rejected: 1 },
        timedOut: selected - reported - 7,
      },
      rejections: { UPDATE_NOT_FINITE: 1 },
      updateBytes: reported * 4_096,
    } as const;
    const endedAt = openedAt + selecting + reporting + aggregating;
    if (isAbandoned) {
      const round: AbandonedRoundRecord = {
        ...{ ...base, phase: "abandoned", reason: "tooFewReports", endedAt },
      };
      putRound.run(round.roundId, taskId, roundNumber, modelVersion, encodeRecord(round));
      continue;
    }
    const learned = 1 - Math.exp(-roundNumber / (rounds / (4 + (seed % 3))));
    const evaluation = figures(learned * (0.93 - 0.02 * (seed % 4)), random);
    const round: CommittedRoundRecord = {
      ...base,
      phase: "committed",
      modelVersion: modelVersion + 1,
      endedAt,
      trainLoss: evaluation.loss * (0.85 + 0.2 * random()),
      evaluation: { ...evaluation, modelVersion: modelVersion + 1 },
    };
    const version: ModelVersionRecord = {
      ...initial,
      ...{ modelVersion: modelVersion + 1, roundNumber, createdAt: endedAt, evaluation },
    };
    putRound.run(round.roundId, taskId, roundNumber, modelVersion, encodeRecord(round));
    modelVersion += 1;
    putVersion.run(taskId, modelVersion, encodeRecord(version));
  }
  database.exec("COMMIT");
  database.close();
}

function figures(accuracy: number, random: () => number): Evaluation {
  const near = (value: number) => Math.min(1, Math.max(0, value + 0.06 * (random() - 0.5)));
  const perClass = Array.from({ length: CLASSES }, () => {
    const [precision, recall] = [near(accuracy), near(accuracy)];
    return { precision, recall, f1: (2 * precision * recall) / (precision + recall), support: 100 };
  });
  const mean = (of: "precision" | "recall" | "f1") =>
    perClass.reduce((sum, scores) => sum + scores[of], 0) / CLASSES;
  return {
    source: "central",
    numExamples: 100 * CLASSES,
    loss: 0.2 + 2.2 * (1 - near(accuracy)) ** 1.5,
    accuracy: near(accuracy),
    macro: { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") },
    perClass,
  };
}
