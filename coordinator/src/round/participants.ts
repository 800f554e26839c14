/**
 * The participants of a round and how each stands, as a value: what changes one makes another value, which shares all
 * but a block of places with the former. So an event costs what it touches, and a round of many clients is not copied
 * once for each of them.
 */

import type { ClientId } from "@tributary/protocol";

import type { ParticipantStatus } from "./state.ts";

export type StatusKind = ParticipantStatus["kind"];

export interface Participants {
  /** Whose place is where: the same object for all of a round. */
  readonly places: ReadonlyMap<ClientId, number>;
  /** The places in their order, {@link PLACES_IN_BLOCK} to a block. */
  readonly blocks: readonly (readonly Place[])[];
  readonly counts: Readonly<Record<StatusKind, number>>;
  /** How many have bytes on their way. */
  readonly uploads: number;
}

interface Place {
  readonly status: ParticipantStatus;
  /** Without a counted report, its bytes are on their way. */
  readonly isUploading: boolean;
}

/** About as much is copied of a cohort of thousands: one block, and the list of all of them. */
const PLACES_IN_BLOCK = 64;

const NONE = { pending: 0, disconnected: 0, reported: 0, rejected: 0, declined: 0, left: 0 };
const WAITED_FOR: Place = { status: { kind: "pending" }, isUploading: false };

/** A cohort of whom nothing has been heard yet. */
export function awaited(cohort: readonly ClientId[]): Participants {
  const places = new Map<ClientId, number>();
  for (const clientId of cohort) if (!places.has(clientId)) places.set(clientId, places.size);
  const { size } = places;
  const blocks: Place[][] = [];
  for (let from = 0; from < size; from += PLACES_IN_BLOCK) {
    blocks.push(Array.from({ length: Math.min(PLACES_IN_BLOCK, size - from) }, () => WAITED_FOR));
  }
  return { places, blocks, counts: { ...NONE, pending: size }, uploads: 0 };
}

/** Before a cohort is drawn. */
export const NOBODY: Participants = awaited([]);

export const sizeOf = ({ places }: Participants): number => places.size;

/** undefined for a stranger */
export const statusOf = (of: Participants, clientId: ClientId): ParticipantStatus | undefined =>
  placeOf(of, clientId)?.status;

export const isUploading = (of: Participants, clientId: ClientId): boolean =>
  placeOf(of, clientId)?.isUploading ?? false;

export const countStatus = ({ counts }: Participants, kind: StatusKind): number => counts[kind];

/** In the order of the cohort: all of them, or those who stand in one of these ways. */
export function clientsOf(of: Participants, kinds?: readonly StatusKind[]): ClientId[] {
  const all = [...of.places.keys()];
  if (kinds === undefined) return all;
  return all.filter((clientId) => kinds.includes(statusOf(of, clientId)?.kind as StatusKind));
}

/** A stranger stays one. */
export function withStatus(
  of: Participants,
  clientId: ClientId,
  status: ParticipantStatus,
): Participants {
  const former = placeOf(of, clientId);
  if (former === undefined) return of;
  const counts = { ...of.counts };
  counts[former.status.kind] -= 1;
  counts[status.kind] += 1;
  return { ...replaced(of, clientId, { ...former, status }), counts };
}

/** A stranger has nothing on its way. */
export function withUpload(
  of: Participants,
  clientId: ClientId,
  isUnderWay: boolean,
): Participants {
  const former = placeOf(of, clientId);
  if (former === undefined || former.isUploading === isUnderWay) return of;
  const uploads = of.uploads + (isUnderWay ? 1 : -1);
  return { ...replaced(of, clientId, { ...former, isUploading: isUnderWay }), uploads };
}

function placeOf({ places, blocks }: Participants, clientId: ClientId): Place | undefined {
  const at = places.get(clientId);
  if (at === undefined) return undefined;
  return blocks[Math.floor(at / PLACES_IN_BLOCK)]?.[at % PLACES_IN_BLOCK];
}

function replaced(of: Participants, clientId: ClientId, place: Place): Participants {
  const at = of.places.get(clientId) ?? 0;
  const index = Math.floor(at / PLACES_IN_BLOCK);
  const block = of.blocks[index]?.slice() ?? [];
  block[at % PLACES_IN_BLOCK] = place;
  const blocks = of.blocks.slice();
  blocks[index] = block;
  return { ...of, blocks };
}
