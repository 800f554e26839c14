import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { curveOfCharge, epsilonOf, roundsLeft } from "./accountant.ts";
import type { Charge } from "./charge.ts";
import { sampledGaussian } from "./charge.ts";
import type { Computed, Question } from "./computed.ts";
import { compute } from "./computed.ts";
import { createReckoner, reckonHere } from "./reckoner.ts";
import type { Thread } from "../thread.ts";
import { openThread } from "../thread.ts";

const openReal = () => openThread<Question, Computed>("accountant", import.meta.url);

const capped: Charge = {
  mechanism: "gaussian",
  noiseMultiplier: 1,
  claim: { kind: "truncatedPoisson", samplingRate: 0.1, population: 200, cap: 30 },
};
const rounds = (charge: Charge, count: number) => Array.from({ length: count }, () => charge);

/** A delta for each test: no other has asked with it, so nothing is known. */
let deltas = 0;
const newDelta = () => 1e-6 * (1 + 0.001 * ++deltas);

/** A thread whose questions and answers are written down. */
function watched(open: () => Thread<Question, Computed> = openReal) {
  const log: { question: Question; answer: Computed }[] = [];
  let opened = 0;
  const openWatched = (): Thread<Question, Computed> => {
    opened += 1;
    const thread = open();
    return {
      ask: async (question) => {
        const answer = await thread.ask(question);
        log.push({ question, answer });
        return answer;
      },
      close: () => thread.close(),
    };
  };
  return { log, open: openWatched, opened: () => opened };
}

describe("the accountant beside the event loop", () => {
  test("[DP25] answers to the last bit what it does on it", async () => {
    const thread = watched();
    const reckoner = createReckoner(undefined, thread.open);
    const settings = [
      { charges: rounds(sampledGaussian(0.3, 1e-4), 40), delta: newDelta() },
      { charges: rounds(sampledGaussian(1.1, 0.01), 1000), delta: newDelta() },
      { charges: [...rounds(capped, 10), sampledGaussian(0.8, 1)], delta: newDelta() },
    ];
    try {
      for (const { charges, delta } of settings) {
        const answer = await reckoner.reckon(() => epsilonOf(charges, delta));
        expect(answer).toEqual(epsilonOf([...charges], delta));
      }
      const delta = newDelta();
      const left = () => roundsLeft([], sampledGaussian(1, 0.1), delta, 3);
      expect(await reckoner.reckon(left)).toBe(left());
    } finally {
      await reckoner.close();
    }
    expect(thread.log.map(({ question }) => question.kind)).toContain("curve");
    expect(thread.log.length).toBeGreaterThan(6);
    // What a thread answered is remembered: only this computes again.
    for (const { question, answer } of thread.log) expect(compute(question)).toEqual(answer);
  });

  test("[DP25] everything else has its turn meanwhile, also where it takes long", async () => {
    const reckoner = createReckoner();
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns += 1;
      if (!isDone) setTimeout(count, 0);
    };
    setTimeout(count, 0);
    const delta = newDelta();
    const settings = [sampledGaussian(0.3, 1e-4), { ...capped, noiseMultiplier: 0.9 } as Charge];
    try {
      for (const charge of settings) {
        turns = 0;
        await reckoner.reckon(() => epsilonOf(rounds(charge, 50), delta));
        expect(turns).toBeGreaterThan(10);
      }
    } finally {
      isDone = true;
      await reckoner.close();
    }
  });

  test("[DP25] what is quick, or known, needs no thread", async () => {
    const thread = watched();
    const { reckon } = createReckoner(undefined, thread.open);
    const delta = newDelta();
    const plain = rounds(sampledGaussian(1, 1), 3);
    expect(await reckon(() => epsilonOf(plain, delta))).toEqual(epsilonOf(plain, delta));
    expect(await reckon(() => epsilonOf([], delta).epsilon)).toBe(0);
    const sampled = rounds(sampledGaussian(1, 0.1), 3);
    const known = epsilonOf(sampled, delta);
    expect(await reckon(() => epsilonOf(sampled, delta))).toEqual(known);
    expect(thread.opened()).toBe(0);
  });

  test("[DP25] without a thread that answers the number is the same, computed here", async () => {
    const failing: Record<string, () => Thread<Question, Computed>> = {
      missing: () => openThread("no-such-accountant", import.meta.url),
      "cannot start": () => {
        throw new Error("no threads here");
      },
      dies: () => ({
        ask: () => Promise.reject(new Error("out of memory")),
        close: async () => {},
      }),
      ...Object.fromEntries(
        [Number.NaN, -1, [0], undefined as never, "0" as never].map((answer) => [
          String(answer),
          () => ({ ask: async () => answer, close: async () => {} }),
        ]),
      ),
    };
    for (const [name, open] of Object.entries(failing)) {
      const failures: unknown[] = [];
      const thread = watched(open);
      const reckoner = createReckoner((error) => failures.push(error), thread.open);
      const delta = newDelta();
      const ask = () => epsilonOf(rounds(capped, 5), delta);
      const answer = await reckoner.reckon(ask);
      expect(answer.accountant, name).toBe("pld");
      expect(answer, name).toEqual(await reckonHere(ask));
      expect(failures.length, name).toBeGreaterThan(0);
      // The next question tries a new thread.
      const before = thread.opened();
      await reckoner.reckon(() => epsilonOf(rounds(capped, 6), delta));
      expect(thread.opened(), name).toBeGreaterThan(before);
      await reckoner.close();
    }
  });

  test("[DP25] a thread that ends under way leaves its question to be computed here", async () => {
    const reckoner = createReckoner();
    const delta = newDelta();
    const ask = () => epsilonOf(rounds(sampledGaussian(0.3, 1e-4), 60), delta);
    const asked = reckoner.reckon(ask);
    await reckoner.close();
    const answer = await asked;
    expect(answer.accountant).toBe("pld");
    expect(answer).toEqual(await reckoner.reckon(ask));
  });

  test("[DP25] what the accountant refuses is refused as it refuses it", async () => {
    const reckoner = createReckoner();
    const bad = { ...capped, claim: { ...capped.claim, cap: 0.5 } } as Charge;
    try {
      await expect(reckoner.reckon(() => curveOfCharge(bad))).rejects.toThrow("whole population");
      await expect(reckoner.reckon(() => epsilonOf([capped], 2))).rejects.toThrow("delta");
    } finally {
      await reckoner.close();
    }
  });

  test("[DP25] a thread that nobody closed keeps no process alive, and one that is asked does", async () => {
    const jiti = createRequire(import.meta.url).resolve("jiti");
    const here = new URL("./", import.meta.url).href;
    const program = `
      const jiti = require(${JSON.stringify(jiti)}).createJiti(${JSON.stringify(here)});
      (async () => {
        const { openThread } = await jiti.import(${JSON.stringify(`${here}../thread.ts`)});
        const thread = openThread("accountant", ${JSON.stringify(import.meta.url)});
        const releases = [{ noiseMultiplier: 1, samplingRate: 0.1, count: 10 }];
        const hint = { epsilon: 3, order: 5 };
        await thread.ask({ kind: "loss", releases, delta: 1e-5, hint });
        // At rest, and asked again.
        await new Promise((resolve) => setTimeout(resolve));
        console.log(await thread.ask({ kind: "loss", releases, delta: 1e-6, hint }) > 0);
      })();`;
    // An end that does not come is one by a signal, and fails here.
    const { stdout } = await promisify(execFile)(process.execPath, ["-e", program], {
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    expect(stdout.trim()).toBe("true");
  });
});
