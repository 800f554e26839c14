/** All rounds of a task that have ended, as exports tell them: page by page from the API, oldest first. */

import type { Page, RoundResource, TaskId } from "@tributary/protocol";
import { FederatedError, routes } from "@tributary/protocol";

import type { Api } from "../api.ts";

/** A round that nothing changes any more. */
export type EndedRound = RoundResource & Required<Pick<RoundResource, "endedAt">>;

/** The most that one page of the API holds. */
const PAGE = 200;

/**
 * Rounds that begin or end meanwhile are in it whole or not at all.
 * @throws FederatedError what the coordinator answers with; MALFORMED_MESSAGE for pages that are none
 */
export async function readHistory(api: Api, taskId: TaskId): Promise<EndedRound[]> {
  const path = routes.rounds.path({ taskId });
  const newestFirst: EndedRound[] = [];
  let before: number | undefined;
  do {
    const query = `?limit=${PAGE}${before === undefined ? "" : `&before=${before}`}`;
    const page = await api.getJson<Page<RoundResource>>(`${path}${query}`);
    if (!isPage(page, before)) {
      throw new FederatedError(
        "MALFORMED_MESSAGE",
        `${api.url}${path}${query} answered with no page of rounds; is it a coordinator of another version?`,
      );
    }
    for (const round of page.items) if (hasEnded(round)) newestFirst.push(round);
    before = page.next;
  } while (before !== undefined);
  return newestFirst.reverse();
}

const hasEnded = (round: RoundResource): round is EndedRound => round.endedAt !== undefined;

/** Only what a file could not be written without, and that the next page is an older one: so there is a last. */
function isPage(page: Page<RoundResource>, before = Number.POSITIVE_INFINITY): boolean {
  const items: unknown = page.items;
  if (!Array.isArray(items)) return false;
  if (page.next !== undefined && !(page.next >= 1 && page.next < before)) return false;
  return page.items.every(
    ({ roundNumber, openedAt, endedAt }) =>
      Number.isSafeInteger(roundNumber) &&
      roundNumber >= 0 &&
      isInstant(openedAt) &&
      (endedAt === undefined || isInstant(endedAt)),
  );
}

const isInstant = (value: unknown): boolean =>
  typeof value === "string" && !Number.isNaN(Date.parse(value));

/** Seconds from its begin to its end. */
export const durationSeconds = ({ openedAt, endedAt }: EndedRound): number =>
  (Date.parse(endedAt) - Date.parse(openedAt)) / 1000;

/** Seconds of one phase; undefined where the asker is not told, or the round did not come so far. */
export function phaseSeconds(
  { phases }: EndedRound,
  name: "selecting" | "reporting" | "aggregating",
): number | undefined {
  const timing = phases?.find(({ phase }) => phase === name);
  return timing === undefined ? undefined : timing.durationMs / 1000;
}

/** Updates that were refused, whatever their sender sent after them; undefined where the asker is not told. */
export function updatesRefused({ rejections }: EndedRound): number | undefined {
  if (rejections === undefined) return undefined;
  return Object.values(rejections).reduce((sum, count) => sum + count, 0);
}

/** Does it hold counts of clients that only the operator of a private task sees? */
export const holdsCounts = (rounds: readonly EndedRound[]): boolean =>
  rounds.some(({ participants }) => participants !== undefined);
