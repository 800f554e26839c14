/**
 * Clients without a socket: each check-in is held for a while, which is when its client waits, and then answered
 * with a place or with when to come back.
 *
 * They stand in the same waiting room as clients on sockets and are drawn from it alike: whoever is held when coins
 * are thrown has its coin thrown, once, and how long it is held does not depend on that. So what is claimed of the
 * sample (`round/sampler.ts`) is true of them, too. A held request that goes away is a connection that is lost: its
 * client waits no more, and one that has a place is waited for during the grace time. Who was told of its place has
 * no connection to lose: it counts as present until its round has ended.
 */

import type {
  Assignment,
  CheckInQuery,
  ClientId,
  HttpCheckInReply,
  RoundClosed,
  TaskId,
} from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";

import { limitOf, overLimit } from "../limits/limit.ts";
import type {
  ClientGateway,
  Clock,
  HeldDelivery,
  HttpDesk,
  HttpVisitor,
  UniformSource,
} from "../ports.ts";
import type { RoundEngine } from "../round/engine.ts";
import type { FrontDesk } from "./desk.ts";
import { createHeldPlaces } from "./held-places.ts";
import { createPacer } from "./pacer.ts";

export interface HeldCheckInsDeps {
  readonly clock: Clock;
  readonly desk: FrontDesk;
  readonly engineOf: (taskId: TaskId) => RoundEngine | undefined;
  /** Clients on sockets, and for which tasks they have offered themselves. */
  readonly sockets: {
    readonly gateway: ClientGateway;
    hasOffered(clientId: ClientId, taskId: TaskId): boolean;
  };
  /** Spreads returns, and keys what counts clients. */
  readonly uniform: UniformSource;
}

export interface HeldCheckInsOptions {
  /** Requests held at the same time; more are told when to come back, with RATE_LIMITED. */
  readonly heldCheckIns: number;
  readonly checkInsPerSecond: number;
  /** Longest time for which one is held. */
  readonly checkInHoldMs: number;
  /** Clients that one address counts for when returns are spread. */
  readonly connectionsPerAddress: number;
}

export interface HeldCheckIns {
  readonly desk: HttpDesk;
  /** To clients of both kinds. */
  readonly gateway: ClientGateway;
  /** Answers everybody who is held. */
  close(): void;
}

type Outcome = Assignment | FederatedError | undefined;

export function createHeldCheckIns(
  deps: HeldCheckInsDeps,
  options: HeldCheckInsOptions,
): HeldCheckIns {
  const { clock, desk, engineOf, sockets, uniform } = deps;
  /** One request for each client and task. */
  const held = new Map<ClientId, Map<TaskId, (outcome: Outcome) => void>>();
  const places = createHeldPlaces(options.heldCheckIns);
  /** Clients with a place who were told so, by task. */
  const inRound = new Map<TaskId, Set<ClientId>>();
  /** How many are held for each task. */
  const heldFor = new Map<TaskId, number>();
  const pacer = createPacer({ clock, engineOf, uniform }, options);

  async function checkIn(
    { clientId, validUntil, address }: HttpVisitor,
    taskId: TaskId,
    { protocolVersion, waitMs }: CheckInQuery,
    gone: AbortSignal,
  ): Promise<HeldDelivery> {
    try {
      desk.assertMayCheckIn(clientId, taskId, protocolVersion);
    } catch (error) {
      throw paced(error, taskId);
    }
    pacer.came(clientId, address, taskId);
    const leave = places.take(address, () => hold.giveWay());
    if (leave === undefined) {
      const message = `${options.heldCheckIns} check-ins are held, as many as there may be`;
      throw overLimit("heldCheckIns", message, pacer.returnOf(taskId));
    }
    const hold = holdFor(clientId, taskId, leave);
    try {
      // Only now, as whoever is revoked from here on is told so by this request.
      const reply = await desk.enter(clientId, taskId);
      const leftMs = validUntil === undefined ? Infinity : validUntil - clock.now();
      const patienceMs = Math.min(options.checkInHoldMs, waitMs ?? Infinity, leftMs);
      let outcome = reply.assignment ?? (await hold.outcome(patienceMs, gone));
      outcome ??= await hold.endWait();
      if (outcome instanceof FederatedError) throw outcome;
      hold.release();
      const answer: HttpCheckInReply = {
        clientId,
        task: reply.task,
        ...(outcome === undefined ? {} : { assignment: outcome }),
        comeBackInMs: pacer.returnOf(taskId),
      };
      if (outcome !== undefined) {
        return { answer, ended: (isDelivered) => settle(clientId, taskId, isDelivered) };
      }
      desk.disconnected(clientId);
      return { answer, ended: () => undefined };
    } catch (error) {
      // An engine that failed over a check-in has heard of it all the same. Who was given a place meanwhile is
      // waited for as one whose connection was lost.
      await hold.endWait();
      hold.release();
      desk.disconnected(clientId);
      throw error;
    }
  }

  /** A newer request of the same client for the same task takes the older one's place. */
  function holdFor(clientId: ClientId, taskId: TaskId, leave: () => void) {
    const own = held.get(clientId) ?? new Map<TaskId, (outcome: Outcome) => void>();
    const older = own.get(taskId);
    older?.(undefined);
    held.set(clientId, own);
    let resolve: (outcome: Outcome) => void = () => undefined;
    const told = new Promise<Outcome>((done) => {
      resolve = done;
    });
    own.set(taskId, resolve);
    heldFor.set(taskId, (heldFor.get(taskId) ?? 0) + 1);
    let isHeld = true;
    desk.connected(clientId);
    return {
      outcome: async (patienceMs: number, gone: AbortSignal): Promise<Outcome> => {
        const timer = clock.after(patienceMs, () => resolve(undefined));
        const onGone = () => resolve(new FederatedError("ABORTED", "the client went away"));
        gone.addEventListener("abort", onGone);
        if (gone.aborted) onGone();
        try {
          return await told;
        } finally {
          timer.cancel();
          gone.removeEventListener("abort", onGone);
        }
      },
      /** It has been held for long enough. */
      giveWay: () => resolve(undefined),
      /** Nobody is told by this request any more. */
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        leave();
        const left = (heldFor.get(taskId) ?? 1) - 1;
        if (left > 0) heldFor.set(taskId, left);
        else heldFor.delete(taskId);
        if (own.get(taskId) !== resolve) return;
        own.delete(taskId);
        if (own.size === 0 && held.get(clientId) === own) held.delete(clientId);
      },
      /** The client waits no more, unless it does so by another way. @returns the place that it has after all */
      endWait: async (): Promise<Assignment | undefined> => {
        const waitsOn =
          held.get(clientId)?.get(taskId) !== resolve || sockets.hasOffered(clientId, taskId);
        if (waitsOn) return undefined;
        // A task that has failed, or is stopping, has nobody waiting.
        return engineOf(taskId)
          ?.endWait(clientId)
          .catch(() => undefined);
      },
    };
  }

  /** The answer with a place has reached the client, or was lost on the way. */
  function settle(clientId: ClientId, taskId: TaskId, isDelivered: boolean): void {
    const clients = inRound.get(taskId) ?? new Set<ClientId>();
    const isOpen = engineOf(taskId)?.hasPlace(clientId) === true;
    if (!isDelivered || !isOpen || clients.has(clientId)) {
      desk.disconnected(clientId);
      return;
    }
    clients.add(clientId);
    inRound.set(taskId, clients);
  }

  function roundClosed(clientIds: readonly ClientId[], { taskId }: RoundClosed): void {
    const clients = inRound.get(taskId);
    if (clients === undefined) return;
    for (const clientId of clientIds) {
      if (clients.delete(clientId)) desk.disconnected(clientId);
    }
  }

  /** Refusals for the number of all check-ins would bring everybody back at once. */
  function paced(error: unknown, taskId: TaskId): unknown {
    if (!isFederatedError(error) || limitOf(error) !== "checkInsPerSecond") return error;
    return overLimit("checkInsPerSecond", error.message, pacer.returnOf(taskId));
  }

  function tellAll(outcome: Outcome, taskId?: TaskId): void {
    for (const own of held.values()) {
      for (const [heldFor, resolve] of own) {
        if (taskId === undefined || heldFor === taskId) resolve(outcome);
      }
    }
  }

  const gateway: ClientGateway = {
    ...sockets.gateway,
    assign: (clientId, assignment) => {
      const { taskId, roundId } = assignment;
      pacer.roundBegan(taskId, roundId, heldFor.get(taskId) ?? 0);
      const resolve = held.get(clientId)?.get(taskId);
      if (resolve === undefined) sockets.gateway.assign(clientId, assignment);
      else resolve(assignment);
    },
    closeRound: (clientIds, message) => {
      const all = [...clientIds];
      sockets.gateway.closeRound(all, message);
      roundClosed(all, message);
      pacer.roundClosed(message);
    },
    taskEnded: (message) => {
      sockets.gateway.taskEnded(message);
      const { taskId, reason } = message;
      tellAll(
        new FederatedError("TASK_ENDED", `task "${taskId}" has ended: ${reason}`, {
          details: { endReason: reason },
        }),
        taskId,
      );
      pacer.forget(taskId);
    },
    dismiss: (clientIds) => {
      const all = [...clientIds];
      sockets.gateway.dismiss(all);
      const refusal = new FederatedError("UNAUTHENTICATED", "this client is no longer let in");
      for (const clientId of all) {
        for (const resolve of held.get(clientId)?.values() ?? []) resolve(refusal);
      }
    },
  };

  return {
    desk: {
      authenticate: (auth) => desk.authenticate(auth),
      checkIn,
      decline: (clientId, roundId) => desk.decline(clientId, roundId),
    },
    gateway,
    close: () => tellAll(undefined),
  };
}
