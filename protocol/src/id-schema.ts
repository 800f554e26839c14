/** Run-time schemas of identifiers and of the small values that everything else is made of. */

import Type from "typebox";

import type { ErrorCode } from "./errors.ts";
import { ERROR_CODES } from "./errors.ts";
import type { ClientId, Digest, PublicKey, RoundId, TaskId } from "./ids.ts";
import {
  CLIENT_ID_PATTERN,
  DIGEST_PATTERN,
  PUBLIC_KEY_PATTERN,
  ROUND_ID_PATTERN,
  TASK_ID_PATTERN,
} from "./ids.ts";

export const TaskIdSchema = Type.Unsafe<TaskId>(Type.String({ pattern: TASK_ID_PATTERN }));
export const ClientIdSchema = Type.Unsafe<ClientId>(Type.String({ pattern: CLIENT_ID_PATTERN }));
export const RoundIdSchema = Type.Unsafe<RoundId>(Type.String({ pattern: ROUND_ID_PATTERN }));
export const DigestSchema = Type.Unsafe<Digest>(Type.String({ pattern: DIGEST_PATTERN }));
export const PublicKeySchema = Type.Unsafe<PublicKey>(Type.String({ pattern: PUBLIC_KEY_PATTERN }));
export const ErrorCodeSchema = Type.Unsafe<ErrorCode>(
  Type.String({ enum: [...ERROR_CODES], title: "ErrorCode" }),
);

/** 0, 1, 2, … */
export const CountSchema = Type.Integer({ minimum: 0 });
/** 1, 2, 3, … */
export const PositiveIntegerSchema = Type.Integer({ minimum: 1 });
export const PositiveSchema = Type.Number({ exclusiveMinimum: 0 });
export const NonNegativeSchema = Type.Number({ minimum: 0 });
/** A share or probability in [0, 1]. */
export const RateSchema = Type.Number({ minimum: 0, maximum: 1 });
/** A decay or momentum in [0, 1). */
export const DecaySchema = Type.Number({ minimum: 0, exclusiveMaximum: 1 });
/** An instant as ISO 8601 in UTC. */
export const InstantSchema = Type.String({ format: "date-time" });
