import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as tf from "@tensorflow/tfjs";
import { describeModel } from "@tributary/client-sdk/tfjs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { startDemo } from "./demo.ts";
import { createDigitsModel, PARAMETER_COUNT } from "./model.ts";
import { parseOptions } from "./options.ts";
import { TASK_ID } from "./task.ts";

let pageDirectory: string;
beforeAll(async () => {
  pageDirectory = await mkdtemp(join(tmpdir(), "digits-page-"));
  await writeFile(join(pageDirectory, "index.html"), "<!doctype html><title>Page</title>");
});
afterAll(() => rm(pageDirectory, { recursive: true }));

const FEW = { port: 0, coordinatorPort: 0, neighbours: 2, imagesEach: 40, pauseMs: 0 };

test("[DX2] the model has its parameters, and the same first weights everywhere", async () => {
  const [one, other] = [createDigitsModel(tf), createDigitsModel(tf)];
  const { initialWeights } = await describeModel(one);
  expect(initialWeights).toHaveLength(PARAMETER_COUNT);
  expect((await describeModel(other)).initialWeights).toEqual(initialWeights);
  for (const model of [one, other]) model.dispose();
});

test("[DX3] page and coordinator have origins of their own, and the page may talk to nobody else", async () => {
  await using demo = await startDemo({ ...FEW, pageDirectory });
  const page = await fetch(demo.pageUrl);
  expect(await page.text()).toContain("<title>Page</title>");
  const policy = page.headers.get("content-security-policy")!.split("; ");
  const socket = demo.coordinatorUrl.replace("http", "ws");
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
  expect(policy).toContain(`connect-src 'self' ${demo.coordinatorUrl} ${socket}`);
  expect(policy.join()).not.toMatch(/unsafe-inline|'unsafe-eval'|data:|\*/);
  expect(await (await fetch(`${demo.pageUrl}config.json`)).json()).toEqual({
    coordinatorUrl: demo.coordinatorUrl,
    taskId: TASK_ID,
    publicKey: demo.coordinator.keys.publicKey,
  });
  const asPage = (origin: string) =>
    fetch(`${demo.coordinatorUrl}/v1/tasks/${TASK_ID}`, { headers: { origin } });
  const own = new URL(demo.pageUrl).origin;
  const readers = await Promise.all([own, "http://elsewhere.example"].map(asPage));
  expect(readers.map(({ headers }) => headers.get("access-control-allow-origin"))).toEqual([
    own,
    null,
  ]);
});

test("[DX4] rounds go on with the Node clients alone, the model learns, and the task ends after its rounds", async () => {
  const troubles: string[] = [];
  await using demo = await startDemo({
    ...{ ...FEW, imagesEach: 250, maxRounds: 3, pageDirectory },
    onTrouble: (message) => void troubles.push(message),
  });
  const { coordinator } = demo;
  await vi.waitFor(
    async () => {
      const { tasks } = coordinator;
      expect((await tasks.get((await tasks.list())[0]!.taskId)).state).toBe("ended");
    },
    { timeout: 60_000, interval: 100 },
  );
  const [task] = await coordinator.tasks.list();
  expect(task).toMatchObject({ roundsCommitted: 3, endReason: "maxRoundsReached" });
  // A guess is right in one of ten.
  expect(task!.evaluation?.accuracy).toBeGreaterThan(0.25);
  expect(task!.spec).toMatchObject({ sampler: { kind: "all" }, clippingNorm: 1 });
  expect(troubles).toEqual([]);
}, 90_000);

test("[DX4] more clients than there are images for are refused, and nothing stays open", async () => {
  const tooMany = startDemo({ ...FEW, imagesEach: 40_000, pageDirectory });
  await expect(tooMany).rejects.toThrow("2 clients with 40000 images each");
});

test("[DX5] the command line becomes the demo it says, and refuses what makes none", () => {
  expect(parseOptions([])).toEqual({
    ...{ port: 8090, coordinatorPort: 0, neighbours: 6, imagesEach: 200, pauseMs: 3000 },
    exit: false,
  });
  const given = ["--port", "0", "--clients", "3", "--images", "50", "--rounds", "4", "--exit"];
  expect(parseOptions([...given, "--pause", "0.5", "--data-dir", "state"])).toEqual({
    ...{ port: 0, coordinatorPort: 0, neighbours: 3, imagesEach: 50, pauseMs: 500 },
    ...{ maxRounds: 4, dataDir: "state", exit: true },
  });
  const exit = vi.spyOn(process, "exit").mockImplementation(() => {
    throw new Error("exit");
  });
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  for (const wrong of [["--exit"], ["--clients", "0"], ["--pause", "-1"], ["more"]]) {
    expect(() => parseOptions(wrong)).toThrow("exit");
  }
  for (const spy of [exit, write]) spy.mockRestore();
});
