/** Run-time schemas of checking in by HTTP: what is asked, and what is answered. */

import Type from "typebox";

import { MAX_WAIT_MS } from "./http-check-in.ts";
import {
  ClientIdSchema,
  CountSchema,
  InstantSchema,
  NonNegativeSchema,
  PositiveIntegerSchema,
  PositiveSchema,
  RoundIdSchema,
  TaskIdSchema,
} from "./id-schema.ts";
import { CheckpointRefSchema, LayoutSchema } from "./resource-schema.ts";
import { PlanSchema } from "./task-schema.ts";

const optional = Type.Optional;

/** Any version passes here, so that an old client is told PROTOCOL_VERSION_UNSUPPORTED. */
export const CheckInQuerySchema = Type.Object(
  {
    protocolVersion: PositiveIntegerSchema,
    waitMs: optional(Type.Integer({ minimum: 0, maximum: MAX_WAIT_MS })),
  },
  { additionalProperties: false },
);

export const TrainingPlanSchema = Type.Object(
  {
    ...PlanSchema.properties,
    clippingNorm: optional(PositiveSchema),
    localNoise: optional(
      Type.Object({
        noiseMultiplier: PositiveSchema,
        delta: PositiveSchema,
        maxEpsilon: PositiveSchema,
      }),
    ),
    participation: optional(
      Type.Object({
        minSeparation: PositiveIntegerSchema,
        maxParticipations: PositiveIntegerSchema,
      }),
    ),
    evaluate: Type.Boolean(),
  },
  { title: "TrainingPlan" },
);

export const AssignmentSchema = Type.Object(
  {
    taskId: TaskIdSchema,
    roundId: RoundIdSchema,
    roundNumber: PositiveIntegerSchema,
    plan: TrainingPlanSchema,
    checkpoint: CheckpointRefSchema,
    update: Type.Object({ url: Type.String(), token: Type.String(), maxBytes: CountSchema }),
    deadlineAt: InstantSchema,
    timeLeftMs: NonNegativeSchema,
    reported: Type.Boolean(),
  },
  { title: "Assignment" },
);

export const HttpCheckInReplySchema = Type.Object(
  {
    clientId: ClientIdSchema,
    task: Type.Object({
      taskId: TaskIdSchema,
      layout: LayoutSchema,
      checkpoint: CheckpointRefSchema,
      paused: Type.Boolean(),
    }),
    assignment: optional(AssignmentSchema),
    comeBackInMs: CountSchema,
  },
  { title: "CheckInReply" },
);
