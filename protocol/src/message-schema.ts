/** Run-time schemas of what clients send. Unknown fields are refused: a typing error is not a default. */

import Type from "typebox";

import { CLIENT_KEY_PATTERN } from "./events.ts";
import { PositiveIntegerSchema, RoundIdSchema, TaskIdSchema } from "./id-schema.ts";

/** Longest token that is looked at: a JWT with groups and roles in it has a few thousand characters. */
const MAX_TOKEN_CHARACTERS = 8192;

const closed = { additionalProperties: false };

export const HandshakeAuthSchema = Type.Object(
  {
    token: Type.Optional(Type.String({ maxLength: MAX_TOKEN_CHARACTERS })),
    clientKey: Type.String({ pattern: CLIENT_KEY_PATTERN }),
  },
  closed,
);

/** Any version passes here, so that an old client is told PROTOCOL_VERSION_UNSUPPORTED. */
export const CheckInSchema = Type.Object(
  { protocolVersion: PositiveIntegerSchema, taskId: TaskIdSchema },
  closed,
);

export const WatchSchema = Type.Object(
  { protocolVersion: PositiveIntegerSchema, taskId: TaskIdSchema },
  closed,
);

export const DeclineSchema = Type.Object({ roundId: RoundIdSchema }, closed);

export const LeaveSchema = Type.Object({ taskId: TaskIdSchema }, closed);
