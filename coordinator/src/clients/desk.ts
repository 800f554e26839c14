/** The desk at which connected clients speak: check in, decline, leave, watch. */

import type { CheckInReply, ClientId, TaskId } from "@tributary/protocol";
import { FederatedError, parseRoundId, SUPPORTED_PROTOCOL_VERSIONS } from "@tributary/protocol";

import type { Rates } from "../limits/rates.ts";
import type { Authenticator, ClientDesk } from "../ports.ts";
import type { RoundEngine } from "../round/engine.ts";

export interface DeskDeps {
  readonly authenticator: Authenticator;
  readonly rates: Pick<Rates, "checkIn">;
  readonly engineOf: (taskId: TaskId) => RoundEngine | undefined;
  readonly engines: () => readonly RoundEngine[];
}

/** The desk, and who is connected to it. */
export interface FrontDesk extends ClientDesk {
  isConnected(clientId: ClientId): boolean;
  connectedClients(): number;
  /** All of a check-in's checks that do not take time. @throws FederatedError as `checkIn` */
  assertMayCheckIn(clientId: ClientId, taskId: TaskId, protocolVersion: number): void;
  /** A check-in for which `assertMayCheckIn` has been called. @throws FederatedError as `checkIn` */
  enter(clientId: ClientId, taskId: TaskId): Promise<CheckInReply>;
}

export function createClientDesk(deps: DeskDeps): FrontDesk {
  /** How many connections of each client there are, of any kind. */
  const present = new Map<ClientId, number>();
  const requireEngine = (taskId: TaskId): RoundEngine => {
    const engine = deps.engineOf(taskId);
    if (engine === undefined) throw new FederatedError("TASK_NOT_FOUND", `no task "${taskId}"`);
    return engine;
  };
  const assertMayCheckIn: FrontDesk["assertMayCheckIn"] = (clientId, taskId, protocolVersion) => {
    deps.rates.checkIn(clientId);
    assertVersion(protocolVersion);
    requireEngine(taskId);
  };
  const enter: FrontDesk["enter"] = async (clientId, taskId) => {
    await deps.authenticator.assertAdmitted(clientId);
    return requireEngine(taskId).checkIn(clientId);
  };
  return {
    assertMayCheckIn,
    enter,
    isConnected: (clientId) => present.has(clientId),
    connectedClients: () => present.size,
    authenticate: (auth) => deps.authenticator.client(auth),
    connected: (clientId) => void present.set(clientId, (present.get(clientId) ?? 0) + 1),
    disconnected: (clientId) => {
      const left = (present.get(clientId) ?? 1) - 1;
      if (left > 0) {
        present.set(clientId, left);
        return;
      }
      present.delete(clientId);
      for (const engine of deps.engines()) engine.disconnected(clientId);
    },
    checkIn: async (clientId, taskId, protocolVersion) => {
      assertMayCheckIn(clientId, taskId, protocolVersion);
      return enter(clientId, taskId);
    },
    decline: async (clientId, roundId) => {
      const { taskId, roundNumber } = parseRoundId(roundId);
      await requireEngine(taskId).decline(clientId, roundNumber);
    },
    leave: async (clientId, taskId) => requireEngine(taskId).leave(clientId),
    watch: async (taskId, protocolVersion) => {
      assertVersion(protocolVersion);
      return requireEngine(taskId).brief();
    },
  };
}

function assertVersion(version: number): void {
  if (SUPPORTED_PROTOCOL_VERSIONS.includes(version)) return;
  throw new FederatedError(
    "PROTOCOL_VERSION_UNSUPPORTED",
    `the client speaks protocol version ${version}, this coordinator ` +
      `${SUPPORTED_PROTOCOL_VERSIONS.join(", ")}; use a matching @tributary/client-sdk`,
  );
}
