/** What a person said to the question whether this device may train, remembered and the same in every tab. */

import { FederatedError } from "@tributary/protocol";

import type { Read, Write } from "./database.ts";
import type { Person } from "./person.ts";
import { tellAll } from "./tell-all.ts";

/** `unasked` until the person answers, and again when the text that they agreed to is another one. */
export type ConsentState = "unasked" | "granted" | "withdrawn";

export interface Consent {
  readonly state: ConsentState;
  /** When that was said, ISO 8601; undefined while unasked. */
  readonly since: string | undefined;
  /**
   * The person agrees: call it from their click or key. Asks the browser to keep this site's data, too.
   * @throws FederatedError ABORTED once the person is forgotten, UNAVAILABLE: then nothing is granted
   */
  grant(): Promise<void>;
  /**
   * Stops training, in every tab, and deletes updates that wait to be sent. Models stay and serve on. Where there is
   * no room to remember the answer, whoever comes back counts as unasked.
   * @throws FederatedError as `grant`; training has stopped in this tab all the same
   */
  withdraw(): Promise<void>;
  /** Calls back when the state has changed, here or in another tab. Returns the unsubscribe. */
  subscribe(listener: () => void): () => void;
}

export interface Answer {
  readonly state: "granted" | "withdrawn";
  /** Digest of the text that it was said to. */
  readonly text: string;
  readonly at: string;
}

/** What the database holds, where it is an answer. */
export function readAnswer(stored: unknown): Answer | undefined {
  const { state, text, at } = (stored ?? {}) as Partial<Answer>;
  const isAnswer = state === "granted" || state === "withdrawn";
  return isAnswer && typeof text === "string" && typeof at === "string"
    ? { state, text, at }
    : undefined;
}

/** @throws FederatedError ABORTED when the person allows nothing to be kept or sent */
export async function checkConsent(tx: Read | Write): Promise<void> {
  if (readAnswer(await tx.objectStore("own").get("consent"))?.state !== "withdrawn") return;
  throw new FederatedError("ABORTED", "consent was withdrawn: no update is kept or sent");
}

/** What was to be sent, and what was left out of what has been sent. */
async function clearUpdates(tx: Write): Promise<void> {
  await tx.objectStore("updates").clear();
  await tx.objectStore("feedback").clear();
}

export interface ConsentDeps {
  readonly person: Person;
  /** Digest of the text that people are shown now. */
  readonly text: string;
  readonly now: () => string;
  /** Other tabs look at the database again. */
  readonly tellOthers: () => void;
}

export interface WatchedConsent extends Consent {
  /** Reads again what was said; what cannot be read counts as unasked. */
  look(): Promise<void>;
}

/** Unasked until `look` has read what the database holds. */
export function createConsent({ person, text, now, tellOthers }: ConsentDeps): WatchedConsent {
  const listeners = new Set<() => void>();
  let answer: Answer | undefined;
  let looks = 0;
  let saying = 0;
  let lastSaid = 0;

  function state(): ConsentState {
    if (answer === undefined || person.signal.aborted) return "unasked";
    // Whoever has said no is not asked again because a text has changed.
    return answer.state === "granted" && answer.text !== text ? "unasked" : answer.state;
  }

  function take(said: Answer | undefined): void {
    looks += 1;
    const before = `${state()} ${answer?.at}`;
    answer = said;
    if (`${state()} ${answer?.at}` !== before) tell();
  }
  const tell = () => tellAll(listeners);
  person.signal.addEventListener("abort", tell);

  async function say(said: Answer): Promise<void> {
    saying += 1;
    lastSaid += 1;
    const own = lastSaid;
    try {
      await person.write(async (tx) => {
        await tx.objectStore("own").put(said, "consent");
        if (said.state === "withdrawn") await clearUpdates(tx);
      });
      // Whatever takes longest to be remembered, the last word counts.
      if (own === lastSaid) take(said);
    } catch (error) {
      if (said.state === "granted") throw error;
      // A full disk has no room for a no; to take back a yes needs none.
      await person.write(async (tx) => {
        await tx.objectStore("own").delete("consent");
        await clearUpdates(tx);
      });
    } finally {
      saying -= 1;
    }
    tellOthers();
  }

  return {
    get state() {
      return state();
    },
    get since() {
      return state() === "unasked" ? undefined : answer?.at;
    },
    grant: () => say({ state: "granted", text, at: now() }),
    withdraw: async () => {
      const said: Answer = { state: "withdrawn", text, at: now() };
      // At once; whether it can be remembered shows later.
      take(said);
      await say(said);
    },
    subscribe: (listener) => {
      const own = () => listener();
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    look: async () => {
      looks += 1;
      const own = looks;
      const stored = await person
        .read((tx) => tx.objectStore("own").get("consent"))
        .catch(() => undefined);
      // What was said or read since is newer.
      if (own === looks && saying === 0) take(readAnswer(stored));
    },
  };
}
