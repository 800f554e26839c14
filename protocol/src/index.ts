/** The contract between coordinator and clients. No dependency, no I/O, no `eval`. */

export * from "./version.ts";
export * from "./ids.ts";
export * from "./errors.ts";
export * from "./digest.ts";
export * from "./content-digest.ts";
export * from "./base64url.ts";
export * from "./signature.ts";
export * from "./key-record.ts";
export * from "./manifest.ts";
export * from "./layout.ts";
export * from "./vector.ts";
export * from "./gaussian-curve.ts";
export * from "./rounded-up.ts";
export * from "./local-noise.ts";
export * from "./encoding/index.ts";
export * from "./codec.ts";
export * from "./checkpoint-delta.ts";
export * from "./plan.ts";
export * from "./evaluation.ts";
export * from "./task-spec.ts";
export * from "./sampling-claim.ts";
export * from "./events.ts";
export * from "./enrolment.ts";
export * from "./routes.ts";
export * from "./resources.ts";
export * from "./event-stream.ts";
