/**
 * What must hold between the records of one task: versions, the rounds that made them, and the charges that
 * paid for them. Only looks; every fault is one line that says what to do.
 */

import type { AuditEntry, RoundId } from "@tributary/protocol";
import { isCharged, isFederatedError, parseRoundId, roundIdOf } from "@tributary/protocol";

import type {
  AuditFact,
  LedgerEvent,
  ModelVersionRecord,
  RoundRecord,
  TaskRecord,
} from "../ports.ts";
import { clippingNormAfter } from "../round/clipping.ts";
import { describeCharge, inWords, tellsOf } from "./charge-record.ts";

export interface Fault {
  /** `task digits`, `round digits.7`, `checkpoint 3fa…`. */
  readonly where: string;
  readonly message: string;
}

export interface TaskRecords {
  readonly task: TaskRecord;
  /** By their keys in the file, which their text must agree with. */
  readonly rounds: ReadonlyMap<RoundId, RoundRecord>;
  readonly versions: ReadonlyMap<number, ModelVersionRecord>;
  readonly ledger: ReadonlyMap<RoundId, LedgerEvent>;
  /** What retention has forgotten. */
  readonly dropped: {
    readonly committed: number;
    readonly abandoned: number;
    readonly upTo: number;
  };
}

const RESTORE = "restore the data from a backup";

export function faultsOfTask(records: TaskRecords): Fault[] {
  return [...faultsOfRounds(records), ...faultsOfVersions(records), ...faultsOfLedger(records)];
}

const isOpen = ({ phase }: RoundRecord) => phase !== "committed" && phase !== "abandoned";
const isReleased = (event: LedgerEvent | undefined) => event?.status === "released";

function faultsOfRounds({ task, rounds, versions, dropped }: TaskRecords): Fault[] {
  const { taskId } = task;
  const faults: Fault[] = [];
  const open = [...rounds.values()].filter(isOpen);
  if (open.length > 1) {
    const ids = open.map(({ roundId }) => roundId).join(", ");
    faults.push({
      where: `task ${taskId}`,
      message: `${open.length} rounds are open at once: ${ids}; ${RESTORE}`,
    });
  }
  if (task.state === "ended" && open.length > 0) {
    faults.push({
      where: `task ${taskId}`,
      message: `has ended, and ${open[0]?.roundId} is still open; ${RESTORE}`,
    });
  }
  const oldestVersion = Math.min(...versions.keys());
  for (const round of rounds.values()) {
    const where = `round ${round.roundId}`;
    const { taskId: ownTask, roundNumber } = parseRoundId(round.roundId);
    if (ownTask !== taskId || roundNumber !== round.roundNumber || round.taskId !== taskId) {
      faults.push({
        where,
        message: `is kept as round ${round.roundNumber} of task ${round.taskId}; ${RESTORE}`,
      });
      continue;
    }
    if (roundNumber <= dropped.upTo) {
      faults.push({
        where,
        message: `is there, and was counted as forgotten (up to ${dropped.upTo}); ${RESTORE}`,
      });
    }
    if (round.phase !== "committed") continue;
    const version = versions.get(round.modelVersion);
    if (version === undefined) {
      // Retention may have taken the version and left the round.
      if (round.modelVersion < oldestVersion) continue;
      faults.push({
        where,
        message: `made version ${round.modelVersion}, which is not there; ${RESTORE}`,
      });
    } else if (version.roundNumber !== roundNumber) {
      faults.push({
        where,
        message: `says it made version ${round.modelVersion}, which says it came of round ${version.roundNumber ?? "none"}; ${RESTORE}`,
      });
    }
    if (round.baseModelVersion !== round.modelVersion - 1) {
      faults.push({
        where,
        message: `made version ${round.modelVersion} from version ${round.baseModelVersion}, not from the one before it; ${RESTORE}`,
      });
    }
  }
  return [
    ...faults,
    ...gaps(
      `task ${taskId}`,
      "round",
      [...rounds.values()].map((r) => r.roundNumber),
    ),
  ];
}

function faultsOfVersions({ task, rounds, versions, dropped }: TaskRecords): Fault[] {
  const { taskId } = task;
  const faults: Fault[] = [];
  const roundOf = new Map([...rounds.values()].map((round) => [round.roundNumber, round]));
  if (versions.size === 0) {
    return [{ where: `task ${taskId}`, message: `has no model version at all; ${RESTORE}` }];
  }
  for (const [number, version] of versions) {
    const where = `version ${number} of task ${taskId}`;
    if (version.taskId !== taskId || version.modelVersion !== number) {
      faults.push({
        where,
        message: `calls itself version ${version.modelVersion} of task ${version.taskId}; ${RESTORE}`,
      });
    }
    try {
      clippingNormAfter(task.spec, version);
    } catch (error) {
      // It says which norm, within which bounds it must be, and what to do.
      faults.push({ where, message: isFederatedError(error) ? error.message : String(error) });
    }
    const { roundNumber } = version;
    if (roundNumber === undefined) {
      if (number > 0) faults.push({ where, message: `names no round that made it; ${RESTORE}` });
      continue;
    }
    if (number === 0)
      faults.push({
        where,
        message: `is the first one, and names round ${roundNumber}; ${RESTORE}`,
      });
    const round = roundOf.get(roundNumber);
    if (round === undefined) {
      if (roundNumber <= dropped.upTo) continue;
      faults.push({
        where,
        message: `came of round ${roundNumber}, which is not there; ${RESTORE}`,
      });
    } else if (round.phase !== "committed") {
      faults.push({
        where,
        message: `came of round ${round.roundId}, which is ${round.phase}; ${RESTORE}`,
      });
    }
  }
  // Versions that were forgotten are counted by the rounds that made them, kept or not.
  const committed =
    dropped.committed + [...rounds.values()].filter(({ phase }) => phase === "committed").length;
  const newest = Math.max(...versions.keys());
  if (newest !== committed) {
    faults.push({
      where: `task ${taskId}`,
      message: `has ${committed} committed rounds, and its newest version is ${newest}; ${RESTORE}`,
    });
  }
  return [...faults, ...gaps(`task ${taskId}`, "version", [...versions.keys()])];
}

function faultsOfLedger({ task, rounds, versions, ledger, dropped }: TaskRecords): Fault[] {
  const { taskId, spec } = task;
  const charged = isCharged(spec);
  const faults: Fault[] = [];
  for (const [roundId, event] of ledger) {
    const where = `charge of round ${roundId}`;
    const round = rounds.get(roundId);
    if (event.roundId !== roundId || event.taskId !== taskId) {
      faults.push({
        where,
        message: `calls itself that of ${event.roundId}, task ${event.taskId}; ${RESTORE}`,
      });
    } else if (!charged) {
      faults.push({
        where,
        message: `is in the ledger of a task that charges nothing; ${RESTORE}`,
      });
    } else if (round === undefined) {
      const settled = event.status !== "reserved";
      if (parseRoundId(roundId).roundNumber <= dropped.upTo && settled) continue;
      const problem = settled
        ? "belongs to a round that is not there"
        : "is reserved for a round that is not there";
      faults.push({ where, message: `${problem}; ${RESTORE}` });
    } else if (isOpen(round) !== (event.status === "reserved")) {
      faults.push({
        where,
        message: `is ${event.status} while its round is ${round.phase}; ${RESTORE}`,
      });
    } else if (round.phase === "committed" && event.status !== "released") {
      faults.push({
        where,
        message: `is ${event.status}, though its round released a model; the budget is wrong: cancel the task or ${RESTORE}`,
      });
    }
  }
  if (!charged) return faults;
  const unpaid = (what: string, message: string) =>
    faults.push({
      where: what,
      message: `${message}; what was spent is not known: cancel the task or ${RESTORE}`,
    });
  for (const { roundId, phase } of rounds.values()) {
    if (phase === "committed" && !ledger.has(roundId))
      unpaid(`round ${roundId}`, "released a model without a charge");
  }
  for (const version of versions.values()) {
    if (version.roundNumber === undefined) continue;
    const event = ledger.get(roundIdOf(taskId, version.roundNumber));
    if (!isReleased(event))
      unpaid(
        `version ${version.modelVersion} of task ${taskId}`,
        `was released, and its charge is ${event?.status ?? "absent"}`,
      );
  }
  // Charges outlive their rounds, so none that a forgotten round made may be missing either.
  const released = [...ledger.values()].filter(isReleased).length;
  const committed =
    dropped.committed + [...rounds.values()].filter(({ phase }) => phase === "committed").length;
  if (released < committed)
    unpaid(
      `task ${taskId}`,
      `has ${committed} committed rounds and only ${released} released charges`,
    );
  return faults;
}

const LOGGED: Readonly<Record<LedgerEvent["status"], AuditFact["kind"]>> = {
  reserved: "privacy:reserved",
  released: "privacy:released",
  void: "privacy:voided",
};

/** @param entry of a log whose chain is whole up to it */
export function faultOfCharge(
  { record, number }: AuditEntry,
  charges: ReadonlyMap<RoundId, LedgerEvent>,
): Fault | undefined {
  const { kind, facts = {} } = JSON.parse(record) as Partial<AuditFact>;
  if (kind === undefined || !Object.values(LOGGED).includes(kind)) return undefined;
  const { roundId } = facts;
  const event = charges.get(roundId as RoundId);
  const fault = (message: string): Fault => ({
    where: `charge of round ${String(roundId)}`,
    message: `${message}; the budget is wrong: cancel the task or ${RESTORE}`,
  });
  const source = `the audit log (entry ${number})`;
  if (kind !== LOGGED.reserved) {
    if (event === undefined || kind === LOGGED[event.status]) return undefined;
    return fault(`is ${event.status}, ${source} says ${kind}`);
  }
  if (event === undefined) return fault(`is in ${source}, and not there`);
  const { charge } = event;
  if (tellsOf(facts, charge)) return undefined;
  return fault(`is ${describeCharge(charge)}, ${source} says ${inWords(facts)}`);
}

/** Numbers that are missing between the oldest and the newest. */
function gaps(where: string, what: string, numbers: readonly number[]): Fault[] {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.flatMap((number, i) => {
    const before = sorted[i - 1];
    if (before === undefined || number === before + 1) return [];
    const from = before + 1;
    const missing =
      from === number - 1 ? `${what} ${from} is` : `${what}s ${from} to ${number - 1} are`;
    return [{ where, message: `${missing} missing; ${RESTORE}` }];
  });
}

/** The reason of a failure, as a line of the report. */
export const reasonOf = (error: unknown): string =>
  isFederatedError(error) || error instanceof Error ? error.message : String(error);
