/** The real round engine over a memory store and virtual time; only sockets, tokens' HMAC and people are missing. */

import type { Assignment, ClientId, RoundClosed, TaskId, TaskSpecInput } from "@tributary/protocol";
import { createLayout, encodeCheckpoint } from "@tributary/protocol";

import type { AssignmentTokens } from "../../../coordinator/src/clients/assignment-token.ts";
import { createBlobKeeper } from "../../../coordinator/src/model/blob-keeper.ts";
import { createModelRegistry } from "../../../coordinator/src/model/registry.ts";
import { manifestOf } from "../../../coordinator/src/model/manifest.ts";
import { openSigner } from "../../../coordinator/src/model/signer.ts";
import type { DomainEvent } from "../../../coordinator/src/ports.ts";
import { createIntegerNoise } from "../../../coordinator/src/privacy/integer-noise.ts";
import { createSecureRandom } from "../../../coordinator/src/privacy/random.ts";
import { reckonHere } from "../../../coordinator/src/privacy/reckoner.ts";
import type { RoundEngine } from "../../../coordinator/src/round/engine.ts";
import { startRoundEngine } from "../../../coordinator/src/round/engine.ts";
import { createSeededUniform } from "../../../coordinator/src/round/sampler.ts";
import { createMemoryBlobs, createMemoryStore } from "../../../coordinator/src/storage/memory.ts";
import { resolveTaskSpec } from "../../../coordinator/src/task/spec.ts";
import type { VirtualTime } from "./virtual-time.ts";

export const PARAMETERS = 2;

export interface WorldOptions {
  readonly time: VirtualTime;
  readonly spec: TaskSpecInput;
  readonly seed: number;
  readonly isConnected: (clientId: ClientId) => boolean;
  readonly onAssigned: (clientId: ClientId, assignment: Assignment) => void;
  readonly onClosed: (clientId: ClientId, message: RoundClosed) => void;
  readonly onEvent: (event: DomainEvent) => void;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export async function startWorld(options: WorldOptions): Promise<RoundEngine> {
  const { clock } = options.time;
  const store = createMemoryStore();
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  const spec = resolveTaskSpec(options.spec);
  const { taskId } = spec;
  const layout = await createLayout(spec.model.tensors);
  const weights = new Float32Array(layout.parameterCount);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights });
  const digest = await shelf.save(frame);
  const task = { taskId, spec, layout, state: "running" as const, createdAt: 0 };
  const random = createSecureRandom();
  const signer = await openSigner({ store, clock, random }, {});
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt: 0 };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    store.createTask(task, { ...initial, signed }),
  );
  // Nobody here needs to be kept out.
  const tokens: AssignmentTokens = {
    sign: () => "token",
    read: () => {
      throw new Error("no token is shown here");
    },
    verify: () => {
      throw new Error("no token is shown here");
    },
  };
  const uniform = createSeededUniform(options.seed);
  return startRoundEngine(
    {
      ...{ store, blobs, shelf, clock, signer, tokens, logger: silent },
      ...{ noise: createIntegerNoise(random), reckon: reckonHere },
      isConnected: options.isConnected,
      uniformFor: () => uniform,
      events: { emit: options.onEvent },
      gateway: {
        assign: options.onAssigned,
        closeRound: (clientIds, message) => {
          for (const clientId of clientIds) options.onClosed(clientId, message);
        },
        publishModel: () => {},
        taskPaused: () => {},
        taskEnded: () => {},
        dismiss: () => {},
      },
    },
    task,
    // The defaults of the configuration.
    { disconnectGraceMs: 10_000, abandonedRetryMs: 1_000 },
  );
}

export const TASK = "dropouts" as TaskId;
