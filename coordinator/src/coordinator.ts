/** The composition root: the one place where the parts of the coordinator are put together. */

import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

import { FederatedError } from "@tributary/protocol";

import { createSumMemories } from "./aggregation/kernel/sum-memories.ts";
import { createAttentiveClock } from "./attentive-clock.ts";
import { createAssignmentTokens } from "./clients/assignment-token.ts";
import { createAuthenticator } from "./clients/auth.ts";
import { createClientDesk } from "./clients/desk.ts";
import { createEnrolment } from "./clients/enrolment.ts";
import { createHeldCheckIns } from "./clients/held-check-ins.ts";
import { createAccountPseudonym } from "./clients/pseudonym.ts";
import { systemClock } from "./clock.ts";
import { asksClients } from "./config/auth-schema.ts";
import type { Config, ConfigInput } from "./config/schema.ts";
import { resolveConfig } from "./config/schema.ts";
import { createEventBus } from "./events/bus.ts";
import { createHttpApp } from "./http/app.ts";
import { gzipPlanes } from "./http/gzip-planes.ts";
import { DASHBOARD_PATH } from "./http/routes/dashboard.ts";
import { createHmacSha256 } from "./identity/hmac.ts";
import { createJwtVerifier } from "./identity/jwt.ts";
import { everySoOften } from "./limits/every-so-often.ts";
import { onceInAWhile } from "./limits/once-in-a-while.ts";
import { createRates } from "./limits/rates.ts";
import type { BlobKeeper } from "./model/blob-keeper.ts";
import { createBlobKeeper } from "./model/blob-keeper.ts";
import { createModelRegistry } from "./model/registry.ts";
import { openSigner } from "./model/signer.ts";
import { createEdge } from "./network/edge.ts";
import { listenAddress } from "./network/listen-address.ts";
import { createPeerAddress } from "./network/peer-address.ts";
import type { SecureServer, Tls } from "./network/tls.ts";
import { openTls } from "./network/tls.ts";
import { createLogger } from "./observability/logger.ts";
import { createMetrics } from "./observability/metrics.ts";
import type {
  AuditLog,
  Backups,
  BlobStore,
  Clock,
  EnrolmentRegistry,
  EventFeed,
  Evaluator,
  Logger,
  ModelRegistry,
  SigningKeys,
  Store,
  TaskRegistry,
} from "./ports.ts";
import { createNoise } from "./privacy/noise.ts";
import { createSecureRandom, uniformFrom } from "./privacy/random.ts";
import { createReckoner } from "./privacy/reckoner.ts";
import { startRoundEngine } from "./round/engine.ts";
import { createUpdateIntake } from "./round/intake.ts";
import { createSeededUniform } from "./round/sampler.ts";
import { mixSeed } from "./round/seed.ts";
import { headText } from "./storage/audit-chain.ts";
import { createBackups } from "./storage/backup.ts";
import { createFileBlobs } from "./storage/blobs.ts";
import { BLOB_FOLDER, STORE_FILE } from "./storage/directory.ts";
import { createMemoryBlobs, createMemoryStore } from "./storage/memory.ts";
import { goOnFromBackup } from "./storage/restored.ts";
import { createKeyRing } from "./storage/seal.ts";
import { assertOpenable, listBlobs } from "./storage/sealed-blobs.ts";
import { createSqliteStore } from "./storage/sqlite.ts";
import { auditEnrolment, auditKeys, auditTasks } from "./task/audited.ts";
import { createTaskRegistry } from "./task/registry.ts";
import { startRetention } from "./task/retention.ts";
import { otherTurns } from "./thread.ts";
import { createSocketServer } from "./transport/socket-server.ts";
import { VERSION } from "./version.ts";

export interface CoordinatorOptions {
  /** Everything has a default; unknown keys and wrong values are refused, all at once. */
  readonly config?: ConfigInput;
  /** Central evaluators by the name that tasks use. */
  readonly evaluators?: Readonly<Record<string, Evaluator>>;
  /** Where log lines go; by default JSON lines on stderr at the configured level. */
  readonly logger?: Logger;
}

export interface Addresses {
  /** What clients and commands take. */
  readonly url: string;
  /** For people with a browser; absent where `server.dashboard` is false. */
  readonly dashboardUrl?: string;
}

export interface Coordinator extends AsyncDisposable {
  readonly config: Config;
  readonly tasks: TaskRegistry;
  readonly models: ModelRegistry;
  /** `keys.publicKey` is what apps pin. */
  readonly keys: SigningKeys;
  readonly events: EventFeed;
  /** Tokens that let new clients in. */
  readonly enrolment: EnrolmentRegistry;
  /** What was done with this coordinator, for good. */
  readonly audit: Pick<AuditLog, "list" | "head">;
  /** Begins to listen. @returns the addresses, with the port that was chosen where it was 0 */
  listen(): Promise<Addresses>;
  /**
   * Reads certificate and key again, which also happens by itself when the files change: new connections
   * get what the files hold, open ones live on. Nothing happens without `server.tls`.
   * @throws FederatedError CONFIG_INVALID when the files are no good; what was in force stays in force
   */
  reloadTls(): Promise<void>;
  /** Lets an aggregation under way finish, closes every connection and the store. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the store, goes on with every task in it, and is ready to `listen()`.
 * @throws FederatedError CONFIG_INVALID, UNAVAILABLE (the store is in use), CHECKPOINT_CORRUPT
 */
export async function createCoordinator(options: CoordinatorOptions = {}): Promise<Coordinator> {
  const config = resolveConfig(options.config ?? {});
  const closers: Closer[] = [];
  try {
    return await assemble(config, options, closers);
  } catch (error) {
    // What kept it from starting says more than what cannot be closed for the same reason.
    await closeAll(closers).catch(() => undefined);
    throw error;
  }
}

/** Built beside the compiled code; seen from `src` and from `dist` it is the same place. */
const DASHBOARD_DIRECTORY = fileURLToPath(new URL("../dist/dashboard/", import.meta.url));

/** Memory of sums that lies idle so long is let go of, at the latest after twice as long. */
const SUM_MEMORY_IDLE_MS = 30_000;
/** A check writes to the disk and anybody may ask for it; a supervisor does so every few seconds. */
const STORE_CHECK_INTERVAL_MS = 1000;

type Closer = () => PromiseLike<void> | void;

/** Closes everything that was opened, the last one first. @throws what went wrong first, when all are closed */
async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function assemble(
  config: Config,
  options: CoordinatorOptions,
  closers: Closer[],
): Promise<Coordinator> {
  const evaluators = options.evaluators ?? {};
  const logger = options.logger ?? createLogger({ level: config.log.level });
  const clock = createAttentiveClock(systemClock, (absentMs) => {
    const message = "the process stood still; deadlines were moved by as much";
    logger.warn({ absentMs: Math.round(absentMs) }, message);
  });
  closers.push(() => clock.stop());
  const random = createSecureRandom();
  const { reckon, close: closeReckoner } = createReckoner((error) =>
    logger.warn({ error }, "the accountant's thread gave no answer; the event loop computed it"),
  );
  closers.push(closeReckoner);
  const tls = await openTlsIfSet(config, { clock, logger });
  if (tls !== undefined) closers.push(() => tls.close());
  const storage = await openStorage(config, logger, closers);
  const { store } = storage;
  const blobs = createBlobKeeper(storage.blobs, (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry(
    { store, blobs, deltas: { gzip: gzipPlanes, logger } },
    config.checkpoints,
  );

  const events = createEventBus({
    now: clock.now,
    // Ids grow over restarts, because time does.
    firstId: clock.now() * 1000,
    remember: config.events.remember,
    onListenerError: (error) => logger.error({ error }, "a listener of events failed"),
  });
  const metrics = createMetrics();
  closers.push(() => metrics.stop());
  const feeding = events.subscribe((event) => metrics.observe(event));
  closers.push(() => feeding.unsubscribe());

  const jwt = await createJwtVerifier({ clock }, config.auth.jwt);
  const accountSecret = await store.secret("account-pseudonym", () => random.bytes(32));
  const pseudonymOf = await createAccountPseudonym(accountSecret);
  const enrolment = createEnrolment(
    {
      store: store.enrolments,
      ...{ clock, random },
      gateway: { dismiss: (clientIds) => held.gateway.dismiss(clientIds) },
    },
    config.auth.enrolment,
  );
  const authenticator = createAuthenticator(
    {
      pseudonymOf,
      ...(jwt === undefined ? {} : { jwt }),
      ...(config.auth.enrolment.enabled ? { enrolment } : {}),
    },
    config.auth,
  );
  const secret = await store.secret("assignment-token", () => random.bytes(32));
  const tokens = createAssignmentTokens(createHmacSha256(secret));
  const signer = await openSigner({ store, clock, random }, config.signing);
  const rates = createRates({ clock }, config.limits);
  const peerAddress = createPeerAddress(config.server);
  const edge = createEdge(config.server);
  const countRefusal = metrics.refused;
  const sockets = createSocketServer(
    { logger, rates, clock, edge, peerAddress, countRefusal },
    config.limits,
  );

  const sumMemories = createSumMemories(undefined, otherTurns);
  closers.push(everySoOften(clock, SUM_MEMORY_IDLE_MS, () => sumMemories.age()));
  const tasks = createTaskRegistry({
    store,
    blobs,
    shelf,
    signer,
    clock,
    events,
    reckon,
    evaluatorNames: Object.keys(evaluators),
    robustMemoryBytes: config.limits.robustMemoryBytes,
    startEngine: (task) => {
      const { evaluation } = task.spec;
      const evaluator =
        evaluation.kind === "central" ? evaluators[evaluation.evaluator] : undefined;
      return startRoundEngine(
        {
          ...{ store, blobs, shelf, clock, logger, events, tokens, signer },
          ...{ noise: createNoise(task.spec, random), reckon, sumMemories },
          gateway: held.gateway,
          isConnected: (clientId) => desk.isConnected(clientId),
          uniformFor: ({ spec: { sampler } }, roundNumber) =>
            sampler.kind !== "all" && sampler.seed !== undefined
              ? createSeededUniform(mixSeed(sampler.seed, roundNumber))
              : uniformFrom(random),
          ...(evaluator === undefined ? {} : { evaluator }),
        },
        task,
        { ...config.timing, ...quotaOf(config) },
      );
    },
  });
  const { engineOf, engines } = tasks;
  const desk = createClientDesk({ authenticator, rates, engineOf, engines });
  const held = createHeldCheckIns(
    { clock, desk, engineOf, sockets, uniform: uniformFrom(random) },
    { ...config.limits, ...config.timing },
  );
  const intake = createUpdateIntake({ tokens, clock, authenticator, engineOf });
  metrics.watchClients(() => ({
    connected: desk.connectedClients(),
    waiting: engines().map((engine) => {
      const { task, clientsWaiting } = engine.snapshot();
      return { taskId: task.taskId, clients: clientsWaiting };
    }),
  }));

  metrics.watchTasks(() =>
    engines().map((engine) => {
      const { taskId } = engine.task();
      return { taskId, isPrivate: tasks.isPrivate(taskId) };
    }),
  );

  const keys: SigningKeys = {
    get publicKey() {
      return signer.publicKey;
    },
    list: () => signer.list(),
    rotate: async () => {
      const record = await signer.rotate();
      // An engine that cannot take it now loads the version again before its next message.
      await Promise.allSettled(engines().map((engine) => engine.signedAnew()));
      logger.info({ publicKey: record.publicKey }, "models are signed with a new key");
      return record;
    },
  };

  const checkStore = onceInAWhile(clock, STORE_CHECK_INTERVAL_MS, store.check);
  let phase: "starting" | "ready" | "closing" = "starting";
  const app = await createHttpApp({
    ...{ tasks, models: shelf, keys, intake, enrolment, events, authenticator, metrics, logger },
    ...{ rates, edge, peerAddress, peersAreDirect: !config.server.trustedProxy },
    ...(tls === undefined ? {} : { tls: tls.context }),
    audit: store.audit,
    backups: storage.backups(blobs, clock),
    health: {
      ready: async () => {
        if (phase !== "ready") throw new Error(`the coordinator is ${phase}`);
        await checkStore();
      },
    },
    ...{ limits: config.limits, desk: held.desk, tokens },
    ...(config.server.dashboard ? { dashboardDirectory: DASHBOARD_DIRECTORY } : {}),
    readsAreProtected: asksClients(config.auth),
    version: VERSION,
  });
  if (tls !== undefined) {
    tls.serve(app.server as unknown as SecureServer);
    metrics.watchCertificate(() => tls.secondsUntilExpiry());
  }
  // The server waits for its connections to end, so the sockets go first, and before them the engines.
  closers.push(
    () => app.close(),
    () => sockets.close(),
    () => held.close(),
    () => tasks.stop(config.timing.shutdownGraceMs),
  );
  await tasks.start();
  const retention = await startRetention({ store, blobs, clock, events, logger }, config.retention);
  closers.push(() => retention.stop());
  for (const task of await tasks.list()) {
    const privacy = await tasks.privacy(task.taskId);
    metrics.restore(task, "epsilon" in privacy ? privacy.epsilon : undefined);
  }

  // Whoever keeps the log elsewhere can later prove that nothing before this line was changed or cut off.
  logger.info({ auditHead: headText(await store.audit.head()) }, "audit log");

  let closing: Promise<void> | undefined;
  const close = () => {
    phase = "closing";
    return (closing ??= closeAll(closers));
  };
  return {
    config,
    tasks: auditTasks(tasks, store.audit),
    models: shelf,
    keys: auditKeys(keys, store.audit),
    enrolment: auditEnrolment(enrolment, store.audit),
    events,
    audit: { list: (page) => store.audit.list(page), head: () => store.audit.head() },
    listen: async () => {
      const { host, port } = config.server;
      sockets.attach(app.server, desk);
      await app.listen({ host: await listenAddress(host), port });
      phase = "ready";
      const bound = (app.server.address() as AddressInfo).port;
      const scheme = tls === undefined ? "http" : "https";
      const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${bound}`;
      const addresses: Addresses = {
        url,
        ...(config.server.dashboard ? { dashboardUrl: `${url}${DASHBOARD_PATH}` } : {}),
      };
      logger.info({ ...addresses }, "listening");
      return addresses;
    },
    reloadTls: async () => tls?.reload(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const quotaOf = ({ limits: { roundsPerClientPerDay } }: Config) =>
  roundsPerClientPerDay === undefined ? {} : { roundsPerClientPerDay };

async function openTlsIfSet(
  { server }: Config,
  deps: Parameters<typeof openTls>[1],
): Promise<Tls | undefined> {
  const { certificateFile, keyFile } = server.tls;
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  return openTls({ certificateFile, keyFile }, deps);
}

interface Storage {
  readonly store: Store;
  readonly blobs: BlobStore;
  backups(keeper: BlobKeeper, clock: Clock): Backups;
}

async function openStorage(config: Config, logger: Logger, closers: Closer[]): Promise<Storage> {
  if (config.storage.kind === "memory") {
    return {
      store: createMemoryStore(),
      blobs: createMemoryBlobs(),
      backups: () => ({
        create: () => {
          const message = "this coordinator keeps everything in memory; there is nothing to copy";
          return Promise.reject(new FederatedError("CONFIG_INVALID", message));
        },
      }),
    };
  }
  const { directory, backupDirectory } = config.storage;
  const ring = createKeyRing(config.storage);
  const keys = ring === undefined ? {} : { keys: ring };
  const blobDirectory = `${directory}/${BLOB_FOLDER}`;
  const store = await createSqliteStore({
    file: `${directory}/${STORE_FILE}`,
    ...keys,
    mayBeNew: (await listBlobs(blobDirectory)).length === 0,
    beforeSealing: () => assertOpenable(blobDirectory, ring),
  });
  closers.push(() => store[Symbol.asyncDispose]());
  await goOnFromBackup({ store, logger, clock: systemClock });
  const blobs = await createFileBlobs({
    directory: blobDirectory,
    ...keys,
    onSealed: (files) => logger.info({ files }, "checkpoints came under the encryption key"),
  });
  return {
    store,
    blobs,
    backups: (keeper, clock) =>
      createBackups(
        { store, blobs, holdBlobs: () => keeper.holdAll(), clock },
        { from: directory, into: backupDirectory },
      ),
  };
}
