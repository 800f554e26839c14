import type { Checksum, ClientId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { transition } from "./machine.ts";
import type { Participants, StatusKind } from "./participants.ts";
import {
  awaited,
  clientsOf,
  countStatus,
  isUploading,
  sizeOf,
  statusOf,
  withStatus,
  withUpload,
} from "./participants.ts";
import type { ParticipantStatus, RoundState } from "./state.ts";
import { participantsOf, reopenRound } from "./state.ts";

const cohortOf = (size: number) =>
  Array.from({ length: size }, (_, i) => `client-${i}` as ClientId);
const statuses: readonly ParticipantStatus[] = [
  { kind: "pending" },
  { kind: "disconnected" },
  { kind: "reported", checksum: "of it" as Checksum },
  { kind: "rejected", code: "UPDATE_NOT_FINITE" },
  { kind: "declined" },
  { kind: "left" },
];
const KINDS = statuses.map(({ kind }) => kind);

describe("participants of a round", () => {
  test("[IG8] stand as in a plain map, whatever happens to them and however many there are", () => {
    const change = fc.record({
      who: fc.nat(210),
      status: fc.option(fc.constantFrom(...statuses)),
      isUnderWay: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.nat(200), fc.array(change), (size, changes) => {
        const cohort = cohortOf(size);
        const plain = new Map(
          cohort.map((one): [ClientId, ParticipantStatus] => [one, statuses[0]!]),
        );
        const uploading = new Set<ClientId>();
        let all = awaited(cohort);
        for (const { who, status, isUnderWay } of changes) {
          const client = `client-${who}` as ClientId;
          const before = structuredClone(all);
          const next =
            status === null ? withUpload(all, client, isUnderWay) : withStatus(all, client, status);
          expect(all).toEqual(before);
          all = next;
          if (!plain.has(client)) continue;
          if (status !== null) plain.set(client, status);
          else if (isUnderWay) uploading.add(client);
          else uploading.delete(client);
        }
        expect(clientsOf(all)).toEqual(cohort);
        expect(sizeOf(all)).toBe(size);
        expect(all.uploads).toBe(uploading.size);
        for (const client of cohortOf(211)) {
          expect(statusOf(all, client)).toEqual(plain.get(client));
          expect(isUploading(all, client)).toBe(uploading.has(client));
        }
        for (const kind of KINDS) {
          const standing = cohort.filter((one) => plain.get(one)?.kind === kind);
          expect(countStatus(all, kind)).toBe(standing.length);
          expect(clientsOf(all, [kind])).toEqual(standing);
        }
      }),
    );
  });

  test("[IG8] a client that is drawn twice has one place", () => {
    const [one, other] = cohortOf(2) as [ClientId, ClientId];
    const all = awaited([one, other, one]);
    expect(sizeOf(all)).toBe(2);
    expect(countStatus(all, "pending")).toBe(2);
    expect(clientsOf(all)).toEqual([one, other]);
  });

  /** Places that were written to make the one value from the other. */
  function copied(before: Participants, after: Participants): number {
    if (after === before) return 0;
    expect(after.places).toBe(before.places);
    const fresh = after.blocks.filter((block, i) => block !== before.blocks[i]);
    return fresh.reduce((sum, block) => sum + block.length, after.blocks.length);
  }

  test("[IG8] all uploads of a round together copy no more than a few blocks for each, in a cohort of any size", () => {
    const rules = {
      ...{ minClients: 1, minReports: 1, lastCallMs: 50 },
      ...{ selectionDeadlineMs: 100, reportWindowMs: 1_000, aggregationDeadlineMs: 500 },
    };
    const copiesFor = (size: number) => {
      let state: RoundState = reopenRound(rules, cohortOf(size), 0);
      let sum = 0;
      for (const clientId of cohortOf(size)) {
        for (const event of [
          { type: "uploadBegan", at: 1, clientId },
          { type: "reported", at: 2, clientId, checksum: clientId as string as Checksum },
          { type: "uploadEnded", at: 3, clientId },
        ] as const) {
          const before = participantsOf(state);
          state = transition(state, event).state;
          sum += copied(before, participantsOf(state));
        }
      }
      expect(state.phase).toBe("aggregating");
      expect(countStatus(participantsOf(state), "reported" satisfies StatusKind)).toBe(size);
      return sum / size;
    };
    // A map that is copied would cost an upload of the larger cohort three times its 4096 places.
    expect(copiesFor(64)).toBeLessThan(4 * 65);
    expect(copiesFor(4096)).toBeLessThan(4 * 128);
  });
});
