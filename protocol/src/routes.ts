/** HTTP routes: one pattern each, for the server to register and for clients to fill in. */

type ParamNames<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamNames<Rest>
  : P extends `${string}:${infer Name}`
    ? Name
    : never;

type Params<P extends string> = { readonly [K in ParamNames<P>]: string | number };

export interface Route<P extends string = string> {
  /** As fastify takes it: `/v1/tasks/:taskId`. */
  readonly pattern: P;
  /** The path with its parameters filled in and escaped. */
  readonly path: (...params: [ParamNames<P>] extends [never] ? [] : [Params<P>]) => string;
}

function route<const P extends string>(pattern: P): Route<P> {
  return {
    pattern,
    path: (...[params]) =>
      pattern.replace(/:([a-zA-Z]+)/g, (_, name: string) =>
        encodeURIComponent(String((params as Record<string, string | number>)[name])),
      ),
  };
}

export const routes = {
  tasks: route("/v1/tasks"),
  task: route("/v1/tasks/:taskId"),
  pauseTask: route("/v1/tasks/:taskId/pause"),
  resumeTask: route("/v1/tasks/:taskId/resume"),
  cancelTask: route("/v1/tasks/:taskId/cancel"),
  rounds: route("/v1/tasks/:taskId/rounds"),
  /** Ended rounds as columns of numbers, oldest first: for charts and tables of thousands. */
  history: route("/v1/tasks/:taskId/history"),
  round: route("/v1/rounds/:roundId"),
  /** A POST asks for a place, and waits a while for it: for clients without a socket. */
  checkIns: route("/v1/tasks/:taskId/checkins"),
  /** A POST gives the place of an assignment back. */
  decline: route("/v1/rounds/:roundId/decline"),
  update: route("/v1/rounds/:roundId/update"),
  models: route("/v1/tasks/:taskId/models"),
  /** JSON about one version; `latest` stands for the newest. */
  model: route("/v1/tasks/:taskId/models/:modelVersion"),
  /** The frame itself, by version or `latest`; answers with the digest as ETag. */
  checkpoint: route("/v1/tasks/:taskId/checkpoints/:modelVersion"),
  /** The frame by digest: immutable, cacheable for ever. */
  checkpointByDigest: route("/v1/checkpoints/:digest"),
  /** The same for whoever has the frame `base`: a delta where one is smaller, else the frame. Immutable, too. */
  checkpointFrom: route("/v1/checkpoints/:digest/from/:base"),
  privacy: route("/v1/tasks/:taskId/privacy"),
  /** The chain of signing keys; a POST to `rotateKeys` adds the next one. */
  keys: route("/v1/keys"),
  rotateKeys: route("/v1/keys/rotate"),
  /** What lets new clients in; a POST issues one, a DELETE of one revokes it. */
  enrolmentTokens: route("/v1/enrolment-tokens"),
  enrolmentToken: route("/v1/enrolment-tokens/:tokenId"),
  events: route("/v1/events"),
  /** The audit log, oldest first. */
  audit: route("/v1/audit"),
  /** A POST copies everything under a name while the coordinator runs. */
  backups: route("/v1/backups"),
  livez: route("/livez"),
  readyz: route("/readyz"),
  metrics: route("/metrics"),
  openapi: route("/openapi.json"),
} as const;

/** In front of the planes of a delta (checkpoint-delta.ts), which are as long as the frame. */
export const DELTA_HEADER_BYTES = 16;
/** Frames below it are asked for whole: the request itself is no smaller than what a delta could save. */
export const MIN_DELTA_FRAME_BYTES = 16_384;
