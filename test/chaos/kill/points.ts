/** The places at which the coordinator can be killed: before and after each step that reaches its disk. */

/** What one SQLite transaction of the coordinator does, as `fault-shim.ts` tells from its writes. */
export const TRANSACTIONS = [
  "migrate",
  "secret",
  "signingKey",
  "audit",
  "createTask",
  "taskState",
  "open",
  "cohort",
  "reserve",
  "commit",
  "abandon",
  "probe",
] as const;
/** The steps of writing one content-addressed file. */
export const FILE_STEPS = [
  "made",
  "halfWritten",
  "beforeFsync",
  "beforeRename",
  "renamed",
  "beforeDirectorySync",
  "directorySynced",
] as const;

export type Transaction = (typeof TRANSACTIONS)[number];
export type KillPoint =
  `sql.${Transaction}.${"before" | "after"}` | `file.${(typeof FILE_STEPS)[number]}`;

export const KILL_POINTS: readonly KillPoint[] = [
  ...TRANSACTIONS.flatMap((name) => [`sql.${name}.before`, `sql.${name}.after`] as const),
  ...FILE_STEPS.map((step) => `file.${step}` as const),
];

/** Reached only while a data folder is new. */
export const isFirstStart = (point: KillPoint): boolean => FIRST_START.test(point);
const FIRST_START = /^sql\.(migrate|secret|signingKey)\./;

/** `point:count`: die at the `count`th time that the point is reached, counted from SIGUSR2 on. */
export const KILL_VARIABLE = "CHAOS_KILL_AT";
/** Counts from the start instead. */
export const ARMED_VARIABLE = "CHAOS_ARMED";
/** A file that gets the name of each point as it is reached for the first time. */
export const TRACE_VARIABLE = "CHAOS_TRACE";
