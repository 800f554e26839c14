import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

import { calibrateLocalNoise } from "@tributary/coordinator/privacy";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../support/fake-coordinator.ts";
import { temporaryFolder } from "../../support/folder.ts";
import type { Point } from "./points.ts";
import { KILL_VARIABLE, POINTS } from "./points.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const DIE_WITH_PARENT =
  "data:text/javascript,process.on('disconnect',()=>process.kill(process.pid,'SIGKILL'));process.channel?.unref()";

const UPDATES = 4;
const limit = { delta: 1e-5, maxEpsilon: 4 };
const { noiseMultiplier } = calibrateLocalNoise({
  targetEpsilon: limit.maxEpsilon,
  delta: limit.delta,
  rounds: UPDATES,
});

/** One life of the client. @returns what it said at its end, or the signal that ended it */
async function live(url: string, folder: string, killAt?: Point) {
  const child = spawn(
    process.execPath,
    [
      ...["--conditions=@tributary/source", "--import=jiti/register"],
      ...[`--import=${DIE_WITH_PARENT}`, `--import=${pathOf("./shim.ts")}`],
      ...[pathOf("./client-main.ts"), url, folder, TASK],
    ],
    {
      // Where `jiti` is found from.
      cwd: dirname(pathOf("./shim.ts")),
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        ...(killAt === undefined ? {} : { [KILL_VARIABLE]: killAt }),
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  let output = "";
  let faults = "";
  child.stdout?.on("data", (chunk) => (output += String(chunk)));
  child.stderr?.on("data", (chunk) => (faults += String(chunk)));
  const [, signal] = (await once(child, "close")) as [number | null, string | null];
  process.off("exit", killAtExit);
  if (signal !== null) return signal;
  if (output === "") throw new Error(`the client said nothing: ${faults}`);
  return JSON.parse(output) as { reason: string; updates: number };
}

/** Offers the next round as soon as an update has come; never the same one again. */
function offerRounds(fake: FakeCoordinator): void {
  const offer = (roundNumber: number) => {
    const { plan, ...rest } = fake.assignment(roundNumber);
    const localNoise = { noiseMultiplier, ...limit };
    fake.place = { ...rest, plan: { ...plan, clippingNorm: 1, localNoise } };
  };
  fake.answerPut = ({ path }) => {
    const roundId = path.split("/")[3];
    offer(fake.puts.length + 1);
    return {
      status: 200,
      body: { roundId, status: "committed", duplicate: false, modelVersion: 1 },
    };
  };
  offer(1);
}

/** Updates that came before the kill, where these are not one: each point kills when it is reached again. */
const BEFORE: Partial<Record<Point, number>> = {
  // The first update syncs twice: the ledger, and the marker that there is one.
  "ledger.directorySynced": 0,
  // There is nothing to sweep away before the second one.
  "ledger.beforeSweep": 2,
  "update.sent": 2,
};

test.each(POINTS)(
  "[LD16] a client killed at %s sends no more than its budget in all its lives",
  async (point) => {
    await using fake = await startFakeCoordinator();
    await using folder = await temporaryFolder();
    offerRounds(fake);
    expect(await live(fake.url, folder.path, point)).toBe("SIGKILL");
    const inFirstLife = fake.puts.length;
    const second = await live(fake.url, folder.path);
    // Whatever was lost on the way, the ledger knows of each update that came, and of no more than there may be.
    expect(second).toEqual({ reason: "privacyBudgetSpent", updates: UPDATES });
    const bodies = new Set(
      fake.puts.map(({ body }) => createHash("sha256").update(body).digest("hex")),
    );
    expect(bodies.size).toBeLessThanOrEqual(UPDATES);
    // An update that was on record and not sent is lost to the client; none came that was not on record.
    const isOnRecord = POINTS.indexOf(point) >= POINTS.indexOf("ledger.linked");
    expect(bodies.size).toBe(isOnRecord && point !== "update.sent" ? UPDATES - 1 : UPDATES);
    expect(inFirstLife).toBe(BEFORE[point] ?? 1);
  },
);
