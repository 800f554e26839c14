/** Where a client process can be killed between asking its ledger and sending the update. */

export const KILL_VARIABLE = "TRIBUTARY_TEST_KILL_CLIENT_AT";

/** In the order in which one update passes them. */
export const POINTS = [
  "ledger.draftMade",
  "ledger.halfWritten",
  "ledger.beforeFsync",
  "ledger.beforeLink",
  "ledger.linked",
  "ledger.directorySynced",
  "ledger.beforeSweep",
  "noise.drawn",
  "update.beforeSend",
  "update.sent",
] as const;

export type Point = (typeof POINTS)[number];
