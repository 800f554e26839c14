import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { TaskId } from "@tributary/protocol";
import { decodeCheckpoint } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DRAW = fileURLToPath(new URL("../support/draw-noise.ts", import.meta.url));
const TASK = "small" as TaskId;
const PARAMETERS = 7;

describe("noise across processes", () => {
  test("[NS7] processes that start together, and one that starts again, never draw the same", async () => {
    const run = async () => {
      const source = ["--conditions=@tributary/source", "--import=jiti/register", DRAW];
      const { stdout } = await promisify(execFile)(process.execPath, source, {
        cwd: ROOT,
        timeout: 60_000,
        killSignal: "SIGKILL",
      });
      return stdout.trim().split("\n");
    };
    const drawn = [...(await Promise.all([run(), run()])), await run()];
    // 256 of each noise, 128 pieces of eight bytes.
    for (const lines of drawn) expect(lines.length).toBe(640);
    const [, ...bytes] = [drawn, ...drawn.map((lines) => lines.slice(512))];
    expect(new Set(bytes.flat()).size).toBe(3 * 128);
    // Of 256 numbers from some 2^32 two are alike once in 10^5: the same noise would be alike in all.
    const [first, second, third] = drawn.map((lines) => new Set(lines.slice(0, 512)));
    for (const [a, b] of [
      [first, second],
      [first, third],
      [second, third],
    ]) {
      expect([...a!].filter((value) => b!.has(value)).length).toBeLessThan(3);
    }
  });
});

describe("a task with exact noise", () => {
  test("[NS8] its rounds are noised in a thread, and charge, accountant and statement say so", async () => {
    await using running = await startCoordinator();
    const { coordinator } = running;
    const privacy = { mechanism: "central", delta: 1e-5, maxEpsilon: 1e9, noiseMultiplier: 0.25 };
    await expect(
      coordinator.tasks.create(
        smallTask({ clippingNorm: 1, privacy: { ...privacy, noise: "loud" } as never }),
      ),
    ).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await coordinator.tasks.create(
      smallTask({
        clippingNorm: 1,
        privacy: { ...privacy, noise: "exact" } as never,
        stop: { maxRounds: 1 },
      }),
    );
    await using one = await connectRaw(running.url);
    await using other = await connectRaw(running.url);
    const [reply] = await Promise.all([one.checkIn(TASK), other.checkIn(TASK)]);
    const { layout } = reply.task;
    for (const client of [one, other]) {
      const delta = new Float32Array(PARAMETERS).fill(0.25);
      const assignment = await client.nextAssignment();
      await client.report(assignment, layout, { delta, numExamples: 1, metrics: {} });
    }
    expect(await running.roundEnded(1)).toMatchObject({ phase: "committed" });
    const shown = await coordinator.tasks.privacy(TASK);
    expect(shown).toMatchObject({ mechanism: "central", rounds: 1, accountant: "rdp" });
    expect(shown.mechanism === "none" ? "" : shown.statement).toContain("integer arithmetic");
    const { digest } = await coordinator.models.get(TASK, 1);
    const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
    for (const weight of weights) {
      expect(Math.abs(weight - 0.25)).toBeLessThan(10 / 8);
      expect(Number.isInteger((2 * weight) / 2 ** -22)).toBe(true);
    }
    expect(new Set(weights).size).toBeGreaterThan(1);
  });
});
