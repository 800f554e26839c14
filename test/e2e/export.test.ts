import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { readEvents } from "../../coordinator/src/cli/export/read-events.fixture.ts";
import { runCli } from "../../coordinator/src/cli/run.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TOKENS = {
  adminToken: "admin-token-of-this-test",
  viewerToken: "viewer-token-of-this-test",
  clientToken: "client-token-of-this-test",
};
const PARAMETERS = 7;

test("[EP8] a private round is exported whole to its operator, and to a viewer without its counts", async () => {
  await using running = await startCoordinator({ config: { auth: TOKENS } });
  await running.coordinator.tasks.create(
    smallTask({
      clippingNorm: 1,
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 1e6 },
      stop: { maxRounds: 1 },
    }),
  );
  const options = { token: TOKENS.clientToken };
  await using first = await connectRaw(running.url, options);
  await using second = await connectRaw(running.url, options);
  const [{ task }] = await Promise.all([first.checkIn("small"), second.checkIn("small")]);
  for (const client of [first, second]) {
    const delta = new Float32Array(PARAMETERS).fill(0.1);
    const update = { delta, numExamples: 1, metrics: {} };
    await client.report(await client.nextAssignment(), task.layout, update);
  }
  const { epsilon = Number.NaN } = await running.roundEnded(1);
  expect(epsilon).toBeGreaterThan(0);

  const cwd = await mkdtemp(join(tmpdir(), "tributary-export-"));
  const exported = async (variable: string, token: string) => {
    let out = "";
    let err = "";
    const io = {
      stdout: { write: (text: string) => void (out += text) },
      stderr: { write: (text: string) => void (err += text) },
      env: { TRIBUTARY_URL: running.url, [variable]: token, TRIBUTARY_STORAGE_KIND: "memory" },
      cwd,
      isTTY: false,
    };
    expect(await runCli(["export", "csv", "small"], io)).toBe(0);
    const [header = [], row = []] = out.split("\r\n").map((line) => line.split(","));
    const record = Object.fromEntries(header.map((name, i) => [name, row[i]]));
    out = "";
    expect(await runCli(["export", "tensorboard", "small", "--out", "runs"], io)).toBe(0);
    const events = readEvents(await readFile(out.trimEnd()));
    return { record, tags: Object.keys(events.at(-1)!.scalars), err };
  };
  try {
    const shown = { outcome: "committed", model_version: "1", epsilon: `${epsilon}` };
    const operator = await exported("TRIBUTARY_AUTH_ADMIN_TOKEN", TOKENS.adminToken);
    expect(operator.record).toMatchObject({ ...shown, clients_reported: "2" });
    expect(operator.tags).toContain("clients/reported");
    expect(operator.err).toContain("counts that are its operator's alone");
    const viewer = await exported("TRIBUTARY_AUTH_VIEWER_TOKEN", TOKENS.viewerToken);
    expect(viewer.record).toMatchObject({ ...shown, clients_reported: "", update_bytes: "" });
    expect(viewer.tags).toEqual(["round/duration_seconds", "round/committed", "privacy/epsilon"]);
    expect(viewer.err).not.toContain("warning");
  } finally {
    await rm(cwd, { recursive: true });
  }
});
