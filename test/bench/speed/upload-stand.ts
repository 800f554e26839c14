/** A real coordinator with rounds that stay open while updates come: what the sections ingest and loop measure. */

import type { Assignment, Layout, TaskId, TaskSpecInput } from "@tributary/protocol";
import { checksumOf, contentDigestOf, createLayout } from "@tributary/protocol";

import type { RawClient } from "../../support/raw-client.ts";
import { connectRaw } from "../../support/raw-client.ts";
import type { Server } from "./servers/server.ts";
import { startCoordinatorServer } from "./servers/server.ts";
import type { Upload } from "./upload-senders.ts";

/** What a case may set of its task. */
export type MeasuredTask = Pick<TaskSpecInput, "clippingNorm" | "plan" | "privacy">;

export interface StandOptions {
  readonly parameterCount: number;
  /** Updates that are sent in a round. */
  readonly clients: number;
}

export interface OpenRound extends AsyncDisposable {
  /** One for each client, with a token of its own. */
  uploadsOf(body: string, bytes: Uint8Array): readonly Upload[];
}

export interface UploadStand extends AsyncDisposable {
  readonly server: Server;
  readonly layout: Layout;
  /** A round with its cohort, of a task of its own; one more client than those who send keeps it open. */
  openRound(task: MeasuredTask): Promise<OpenRound>;
}

const tensorsOf = (parameterCount: number) => [{ name: "weights", shape: [parameterCount] }];

/** Long enough for the slowest machine: nothing here waits for it. */
const LONG_MS = 600_000;

export async function startUploadStand(options: StandOptions): Promise<UploadStand> {
  const { parameterCount, clients } = options;
  const server = await startCoordinatorServer();
  const layout = await createLayout(tensorsOf(parameterCount));
  const cohort: RawClient[] = [];
  for (let i = 0; i <= clients; i++) cohort.push(await connectRaw(server.url));
  let rounds = 0;
  return {
    server,
    layout,
    openRound: async (task) => {
      rounds += 1;
      const taskId = `stand-${rounds}` as TaskId;
      await server.createTask({
        ...task,
        taskId,
        model: { tensors: tensorsOf(parameterCount) },
        sampler: { kind: "all" },
        schedule: {
          ...{ minClients: cohort.length, minReports: cohort.length },
          ...{
            selectionDeadlineMs: LONG_MS,
            reportWindowMs: LONG_MS,
            aggregationDeadlineMs: LONG_MS,
          },
        },
      });
      const assigned = cohort.map(async (client) => {
        await client.checkIn(taskId);
        return client.nextAssignment(LONG_MS);
      });
      const assignments = await Promise.all(assigned);
      return {
        uploadsOf: (body, bytes) => {
          const digest = contentDigestOf({ checksum: checksumOf(bytes) });
          return assignments.slice(0, clients).map(({ update }: Assignment) => ({
            path: update.url,
            headers: {
              authorization: `Bearer ${update.token}`,
              "content-type": "application/octet-stream",
              "content-digest": digest,
            },
            body,
          }));
        },
        [Symbol.asyncDispose]: async () => {
          const closed = cohort.map((client) => client.nextClosed(LONG_MS));
          await server.cancelTask(taskId);
          await Promise.all(closed);
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of cohort) await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
