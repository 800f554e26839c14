/** What the HTTP adapter is given. */

import type { SecureContextOptions } from "node:tls";

import type { ErrorCode, TaskId } from "@tributary/protocol";

import type { AssignmentTokens } from "../clients/assignment-token.ts";
import type { Limit } from "../limits/limit.ts";
import type { Rates } from "../limits/rates.ts";
import type {
  AuditLog,
  Authenticator,
  Backups,
  Edge,
  EnrolmentRegistry,
  EventFeed,
  HttpDesk,
  Logger,
  ModelRegistry,
  PeerAddress,
  SigningKeys,
  TaskRegistry,
  UpdateIntake,
} from "../ports.ts";

/** The part of the metrics that HTTP feeds and answers with. */
export interface HttpMetrics {
  updateAccepted(taskId: TaskId): void;
  updateRejected(taskId: TaskId | undefined, code: ErrorCode): void;
  refused(limit: Limit): void;
  actionRefused(code: ErrorCode): void;
  bytesReceived(bytes: number): void;
  bytesSent(bytes: number): void;
  readonly contentType: string;
  /** Not for `anyone`: what depends on the clients of a task under privacy. */
  render(audience: "operator" | "anyone"): Promise<string>;
}

export interface HttpLimits {
  /** Connections of any kind. */
  readonly maxConnections: number;
  readonly connectionsPerAddress: number;
  /** From the open connection to the end of a request's head. */
  readonly headersTimeoutMs: number;
  /** Largest JSON body. Initial weights of a task, which only an admin can send, come on top. */
  readonly maxBodyBytes: number;
  /** Largest update frame, where it is below what the layout allows. */
  readonly maxUpdateBytes?: number;
  /** Updates that are read at the same time. */
  readonly concurrentUploads: number;
  /** Uploads that wait for their turn; more are told to come again. */
  readonly queuedUploads: number;
  /** What those that are read may take together. */
  readonly uploadMemoryBytes: number;
  /** Longest wait for a turn, and longest time that a body may take. */
  readonly uploadTimeoutMs: number;
  /** A body that comes, or a checkpoint that is taken, more slowly than this is given up … */
  readonly minUploadBytesPerSecond: number;
  readonly minDownloadBytesPerSecond: number;
  /** … after so long. */
  readonly slowPeerGraceMs: number;
  /** Event streams open at the same time. */
  readonly sseStreams: number;
  readonly sseHeartbeatMs: number;
  /** Events that a reader may leave unread before its connection is cut; 1 MiB when absent. */
  readonly sseBufferBytes?: number;
}

export interface HttpDeps {
  readonly tasks: TaskRegistry;
  readonly models: ModelRegistry;
  readonly keys: SigningKeys;
  readonly intake: UpdateIntake;
  /** Of clients without a socket. */
  readonly desk: HttpDesk;
  readonly tokens: Pick<AssignmentTokens, "verify">;
  readonly enrolment: EnrolmentRegistry;
  readonly events: EventFeed;
  readonly audit: AuditLog;
  readonly backups: Backups;
  readonly authenticator: Authenticator;
  readonly rates: Rates;
  readonly peerAddress: PeerAddress;
  readonly edge: Edge;
  /** No proxy stands in between: a connection's address is the peer's. */
  readonly peersAreDirect: boolean;
  /** Makes the server speak TLS; plain HTTP when absent. */
  readonly tls?: SecureContextOptions;
  readonly metrics: HttpMetrics;
  readonly logger?: Logger;
  readonly health: {
    /** Rejects while the coordinator cannot do its work. */
    ready(): Promise<void>;
  };
  readonly limits: HttpLimits;
  /** The folder of the built dashboard; without one there is none. */
  readonly dashboardDirectory?: string;
  /** Reading asks for a token, so shared caches must not keep what is read. */
  readonly readsAreProtected: boolean;
  readonly version: string;
}
