/** Monitoring events in memory: the newest are remembered, so that a reader who lost its connection catches up. */

import type { MonitoringEvent } from "@tributary/protocol";

import type { DomainEvent, EventFeed, EventSink, Instant } from "../ports.ts";

export interface EventBusOptions {
  readonly now: () => Instant;
  /** Id of the first event. Ids grow over restarts only when this does. */
  readonly firstId: number;
  /** Events that are kept for readers who come back. */
  readonly remember: number;
  /** Told of a listener that threw; the others are not disturbed. */
  readonly onListenerError?: (error: unknown) => void;
}

interface Subscription {
  readonly listener: (event: MonitoringEvent) => void;
  /** Id of the last event that the listener was given or asked to skip. */
  lastId: number;
}

/**
 * Every listener sees every event once and in order, also when a listener emits or subscribes while
 * it is being called.
 */
export function createEventBus(options: EventBusOptions): EventSink & EventFeed {
  const { now, firstId, remember, onListenerError } = options;
  const remembered: MonitoringEvent[] = [];
  const undelivered: MonitoringEvent[] = [];
  const subscriptions = new Set<Subscription>();
  let nextId = firstId;
  let delivering = false;

  function hand(subscription: Subscription, event: MonitoringEvent): void {
    const id = Number(event.id);
    if (id <= subscription.lastId) return;
    subscription.lastId = id;
    try {
      subscription.listener(event);
    } catch (error) {
      onListenerError?.(error);
    }
  }

  function deliver(): void {
    if (delivering) return;
    delivering = true;
    for (let event = undelivered.shift(); event !== undefined; event = undelivered.shift()) {
      for (const subscription of [...subscriptions]) {
        if (subscriptions.has(subscription)) hand(subscription, event);
      }
    }
    delivering = false;
  }

  return {
    emit: (event: DomainEvent) => {
      const stamped: MonitoringEvent = {
        ...event,
        id: String(nextId),
        at: new Date(now()).toISOString(),
      };
      nextId += 1;
      remembered.push(stamped);
      if (remembered.length > remember) remembered.shift();
      undelivered.push(stamped);
      deliver();
    },

    subscribe: (listener, { afterId } = {}) => {
      const newestId = nextId - 1;
      const oldestKept = nextId - remembered.length;
      const after = afterId === undefined ? newestId : parseId(afterId);
      const complete = after >= oldestKept - 1 && after <= newestId;
      const subscription = { listener, lastId: Math.min(after, newestId) };
      subscriptions.add(subscription);
      for (const event of [...remembered]) hand(subscription, event);
      return { complete, unsubscribe: () => void subscriptions.delete(subscription) };
    },
  };
}

/** Anything that was never an id of this bus counts as before all of them. */
function parseId(id: string): number {
  return /^\d{1,16}$/.test(id) ? Number(id) : -1;
}
