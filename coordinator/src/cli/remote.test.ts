import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { RoundResource, TaskId, TaskResource } from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  FederatedError,
  routes,
  sha256,
  signKeyRecord,
} from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import { signFor, testKey } from "../../../test/support/signing.ts";
import type { CliIo } from "./io.ts";
import { runCli } from "./run.ts";

const TASK = "digits" as TaskId;
const ADMIN = "admin-token-of-the-test";
const SPEC = { taskId: TASK, model: { tensors: [{ name: "w", shape: [2] }] } };
const AT = "2026-01-02T03:04:05.678Z";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly lastEventId: string | undefined;
  readonly body: string;
}
type Answer = (response: ServerResponse, asked: Asked) => void;

let cwd: string;
let url: string;
let server: Server;
let answers: Map<string, Answer>;
let asked: Asked[];

const json =
  (value: unknown, status = 200): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
const problem = (error: FederatedError): Answer => {
  const headers = { "content-type": "application/problem+json; charset=utf-8" };
  return (response) =>
    response.writeHead(error.status, headers).end(JSON.stringify(error.toProblem()));
};

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-cli-"));
  answers = new Map();
  asked = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const entry: Asked = {
        method,
        path,
        token: headers.authorization,
        lastEventId: headers["last-event-id"] as string | undefined,
        body: Buffer.concat(chunks).toString(),
      };
      asked.push(entry);
      const answer = answers.get(`${method} ${path.split("?")[0]!}`);
      if (answer === undefined) response.writeHead(404).end("not here");
      else answer(response, entry);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cwd, { recursive: true });
});

interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(argv: readonly string[], io: Partial<CliIo> = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const exitCode = await runCli(argv, {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: { TRIBUTARY_URL: url, TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN },
    cwd,
    isTTY: false,
    ...io,
  });
  return { exitCode, out, err };
}

const task = (changes: Partial<TaskResource> = {}) => ({
  taskId: TASK,
  state: "running",
  createdAt: AT,
  spec: { description: "", plan: {}, sampler: {}, stop: {}, serving: { encodings: ["int8"] } },
  layout: { tensors: [{}], parameterCount: 4 },
  checkpoint: { modelVersion: 3, bytes: 80 },
  roundsCommitted: 3,
  roundsAbandoned: 1,
  clientsWaiting: 5,
  ...changes,
});
const round = (roundNumber: number, changes: Partial<RoundResource> = {}) => ({
  roundId: `${TASK}.${roundNumber}`,
  taskId: TASK,
  roundNumber,
  phase: "committed",
  baseModelVersion: roundNumber - 1,
  modelVersion: roundNumber,
  openedAt: AT,
  phases: [{ phase: "reporting", startedAt: AT, durationMs: 1500 }],
  participants: { selected: 10, reported: 9 },
  rejections: {},
  updateBytes: 4000,
  ...changes,
});

test("[CLI5] a task is created from its file, with its weights and the admin token", async () => {
  await writeFile(join(cwd, "task.json"), JSON.stringify(SPEC));
  const weights = Buffer.from(Float32Array.of(1.5, -2).buffer);
  await writeFile(join(cwd, "w.f32"), weights);
  answers.set(`POST ${routes.tasks.path()}`, json(task(), 201));
  const ran = await run(["task", "create", "task.json", "--weights", "w.f32"]);
  expect(ran).toEqual({ exitCode: 0, out: "created digits, 4 parameters\n", err: "" });
  expect(asked).toHaveLength(1);
  expect(asked[0]!.token).toBe(`Bearer ${ADMIN}`);
  expect(JSON.parse(asked[0]!.body)).toEqual({
    spec: SPEC,
    initialWeights: weights.toString("base64"),
  });
});

test("[CLI5] a spec may be a TypeScript module, and weights must be float32", async () => {
  await writeFile(join(cwd, "task.ts"), `export const spec: object = ${JSON.stringify(SPEC)};`);
  answers.set(`POST ${routes.tasks.path()}`, json(task(), 201));
  expect((await run(["task", "create", "task.ts"])).exitCode).toBe(0);
  expect(JSON.parse(asked[0]!.body)).toEqual({ spec: SPEC });
  await writeFile(join(cwd, "w.f32"), "12345");
  const ran = await run(["task", "create", "task.ts", "--weights", "w.f32"]);
  expect(ran.exitCode).toBe(3);
  expect(ran.err).toContain("5 bytes, which is no whole number of float32 values");
});

test.each([
  ["pause", routes.pauseTask, "paused"],
  ["resume", routes.resumeTask, "running"],
  ["cancel", routes.cancelTask, "ended"],
] as const)("[CLI6] task %s steers the task and tells its state", async (name, route, state) => {
  answers.set(`POST ${route.path({ taskId: TASK })}`, json(task({ state })));
  expect(await run(["task", name, TASK])).toMatchObject({ exitCode: 0, out: `digits ${state}\n` });
});

test("[CLI7] people get tables, machines get the whole answer as JSON on standard output", async () => {
  const page = { items: [round(2, { epsilon: 0.5 }), round(1)], next: 1 };
  answers.set(`GET ${routes.rounds.path({ taskId: TASK })}`, json(page));
  answers.set(`GET ${routes.tasks.path()}`, json({ items: [task()] }));
  answers.set(`GET ${routes.task.path({ taskId: TASK })}`, json(task()));

  const forPeople = await run(["rounds", TASK, "--limit", "2", "--before", "3"]);
  expect(asked[0]!.path).toBe(`${routes.rounds.path({ taskId: TASK })}?limit=2&before=3`);
  const [header, ...rows] = forPeople.out.trimEnd().split("\n");
  expect(header).toMatch(/^ROUND +STATE +VERSION +REPORTS +ACCURACY +LOSS +BYTES +TIME +EPSILON$/);
  expect(rows[0]).toMatch(/^ +2 +committed +2 +9\/10 +- +- +4\.00 kB +1\.5 s +0\.500$/);
  expect(rows).toHaveLength(2);
  expect(forPeople.err).toBe("older ones: --before 1\n");

  const forMachines = await run(["rounds", TASK, "--json"]);
  expect(JSON.parse(forMachines.out)).toEqual(page);
  expect(forMachines.err).toBe("");
  expect(JSON.parse((await run(["task", "list", "--json"])).out)).toEqual([task()]);
  expect((await run(["task", "list"])).out).toMatch(/^digits +running +3 +3 +1 +5 +-$/m);
  const shown = (await run(["task", "show", TASK])).out;
  expect(shown).toMatch(/^rounds +3 committed, 1 abandoned$/m);
  expect(shown).toMatch(/^serving +\{"encodings":\[.*\]\}$/m);
});

async function offerModel(tamper = false, changes: object = {}) {
  const layout = await createLayout([{ name: "w", shape: [3] }]);
  const weights = Float32Array.of(1, 2, 3);
  const frame = encodeCheckpoint(layout, { modelVersion: 7, weights });
  const digest = await sha256(frame);
  const about = {
    ...{ taskId: TASK, modelVersion: 7, digest, bytes: frame.length },
    layoutDigest: layout.digest,
  };
  const [former, key] = [await testKey(1), await testKey(2)];
  const model = { ...about, createdAt: AT, signed: await signFor(key, about), ...changes };
  const record = await signKeyRecord(key.publicKey, AT, former);
  const keys = [{ publicKey: former.publicKey, createdAt: AT }, record];
  answers.set(`GET ${routes.keys.path()}`, json({ keys }));
  answers.set(`POST ${routes.rotateKeys.path()}`, json(record));
  const sent = frame.slice();
  if (tamper) sent[70] = 99;
  const bytes: Answer = (response) => response.writeHead(200).end(sent);
  for (const modelVersion of [7, "latest"]) {
    answers.set(`GET ${routes.model.path({ taskId: TASK, modelVersion })}`, json(model));
  }
  answers.set(`GET ${routes.checkpointByDigest.path({ digest })}`, bytes);
  answers.set(`GET ${routes.models.path({ taskId: TASK })}`, json({ items: [model] }));
  return { frame, weights, model, former, key };
}

test("[CLI8] a download is the checkpoint that the coordinator named, or its bare weights", async () => {
  const { frame, weights } = await offerModel();
  const ran = await run(["models", "download", TASK]);
  expect(ran).toMatchObject({ exitCode: 0, out: `${join(cwd, "digits-v7.ckpt")}\n` });
  expect(new Uint8Array(await readFile(join(cwd, "digits-v7.ckpt")))).toEqual(frame);
  const bare = [
    "models",
    "download",
    TASK,
    "--version",
    "7",
    "--weights",
    "--out",
    "w.f32",
    "--json",
  ];
  expect(JSON.parse((await run(bare)).out)).toMatchObject({ modelVersion: 7 });
  expect(await readFile(join(cwd, "w.f32"))).toEqual(Buffer.from(weights.buffer));
  expect((await run(["models", "list", TASK])).out).toMatch(/^ +7 +- +2026-01-02 03:04 +76 B/m);
});

test("[CLI8] bytes that do not match their digest are refused, and no file is left", async () => {
  await offerModel(true);
  const ran = await run(["models", "download", TASK]);
  expect(ran.exitCode).toBe(1);
  expect(ran.err).toMatch(/^error: CHECKPOINT_CORRUPT the coordinator names digest [0-9a-f]{64}, /);
  expect(await readdir(cwd)).toEqual([]);
});

test("[SIG40] models show and download verify the signature, and --key says whose it must be", async () => {
  const { key, former, model } = await offerModel();
  const stranger = await testKey(9);
  const shown = await run(["models", "show", TASK]);
  expect(shown).toMatchObject({ exitCode: 0, err: "" });
  expect(shown.out).toMatch(/^version +7, 76 B$/m);
  expect(shown.out).toMatch(new RegExp(`^digest +${model.digest}$`, "m"));
  expect(shown.out).toMatch(new RegExp(`^signed by +${key.publicKey}$`, "m"));
  const asJson = JSON.parse((await run(["models", "show", TASK, "--json"])).out) as object;
  expect(asJson).toMatchObject({ manifest: { modelVersion: 7, privacy: { mechanism: "none" } } });

  for (const pinned of [key, former]) {
    const ran = await run(["models", "download", TASK, "--key", pinned.publicKey]);
    expect(ran.exitCode).toBe(0);
    expect(ran.err).toContain(`signed by key ${key.publicKey}, trusted by --key`);
  }
  const unnamed = await run(["models", "download", TASK]);
  expect(unnamed.err).toContain(
    `signed by key ${key.publicKey}, which you did not name with --key`,
  );
  await rm(join(cwd, "digits-v7.ckpt"));
  for (const command of ["show", "download"]) {
    const ran = await run(["models", command, TASK, "--key", stranger.publicKey]);
    expect(ran).toMatchObject({ exitCode: 1, out: "" });
    expect(ran.err).toMatch(/^error: MODEL_UNTRUSTED .* never handed over\n$/);
    expect((await run(["models", command, TASK, "--key", "x"])).exitCode).toBe(2);
  }
  expect(await readdir(cwd)).toEqual([]);
});

test.each([
  ["no signature", { signed: undefined }],
  ["a signature of something else", { modelVersion: 8 }],
])("[SIG40] a version with %s is not saved", async (_, changes) => {
  await offerModel(false, changes);
  const ran = await run(["models", "download", TASK]);
  expect(ran).toMatchObject({ exitCode: 1, out: "" });
  expect(ran.err).toMatch(/^error: MODEL_UNTRUSTED /);
  expect(await readdir(cwd)).toEqual([]);
});

test("[SIG41] keys list shows the chain, the key that signs first; keys rotate asks for the next", async () => {
  const { key, former } = await offerModel();
  const [header, first, second] = (await run(["keys", "list"])).out.split("\n");
  expect(header).toMatch(/^KEY +CREATED +STATE$/);
  expect(first).toBe(`${key.publicKey}  2026-01-02 03:04  signs`);
  expect(second).toBe(`${former.publicKey}  2026-01-02 03:04  replaced`);
  expect(JSON.parse((await run(["keys", "list", "--json"])).out)).toMatchObject({
    keys: [{ publicKey: former.publicKey }, { publicKey: key.publicKey }],
  });
  const rotated = await run(["keys", "rotate"]);
  expect(rotated).toMatchObject({ exitCode: 0, out: `${key.publicKey}\n` });
  expect(asked.at(-1)).toMatchObject({ method: "POST", token: `Bearer ${ADMIN}` });
});

test.each([
  ["CONFIG_INVALID", 3],
  ["TASK_NOT_FOUND", 4],
  ["UNAUTHENTICATED", 5],
  ["FORBIDDEN", 5],
  ["TASK_ENDED", 1],
  ["UNAVAILABLE", 1],
] as const)("[CLI9] an answer of %s is one line and exit code %d", async (code, exitCode) => {
  const path = routes.pauseTask.path({ taskId: TASK });
  answers.set(`POST ${path}`, problem(new FederatedError(code, "what happened")));
  const ran = await run(["task", "pause", TASK]);
  expect(ran).toMatchObject({ exitCode, out: "" });
  expect(ran.err).toMatch(new RegExp(`^error: ${code} what happened.*\n$`));
});

test("[CLI9] faults of a task are told one by one, those that only the coordinator finds too", async () => {
  const wrong = { ...SPEC, plan: { epochs: 0 }, schedule: { minClients: 2, minReports: 3 } };
  await writeFile(join(cwd, "wrong.json"), JSON.stringify(wrong));
  const ran = await run(["task", "create", "wrong.json"]);
  expect(ran.exitCode).toBe(3);
  expect(ran.err).toMatch(
    /^error: CONFIG_INVALID the task is not valid, 2 faults:\n {2}plan\.epochs must be >= 1, got 0\n {2}schedule\.minReports is 3, above schedule\.minClients of 2.*\n$/,
  );
  expect(asked).toEqual([]);

  const faults = [{ path: "evaluation.evaluator", message: "is not known" }];
  const error = new FederatedError("CONFIG_INVALID", "the task is not valid: …", {
    details: { faults },
  });
  answers.set(`POST ${routes.tasks.path()}`, problem(error));
  await writeFile(join(cwd, "t.json"), JSON.stringify(SPEC));
  expect((await run(["task", "create", "t.json"])).err).toBe(
    "error: CONFIG_INVALID the task is not valid, 1 fault:\n  evaluation.evaluator is not known\n",
  );
});

test("[CLI9] no coordinator, another server and wrong usage have exit codes of their own", async () => {
  const closed = await run(["task", "list", "--url", "http://127.0.0.1:9"]);
  expect(closed.exitCode).toBe(6);
  expect(closed.err).toMatch(/^error: UNAVAILABLE cannot reach a coordinator at http:\/\/127/);
  const other = await run(["task", "list"]);
  expect(other).toMatchObject({ exitCode: 4, out: "" });
  expect(other.err).toContain("answered 404; that is no Tributary coordinator");
  for (const argv of [["no-such"], ["rounds"], ["rounds", TASK, "--limit", "201"], ["--wrong"]]) {
    expect((await run(argv)).exitCode).toBe(2);
  }
  expect((await run(["start", "--memory", "--data", "x"])).exitCode).toBe(2);
  expect((await run(["task", "list", "--url", "ftp://x"])).exitCode).toBe(3);
  const help = await run(["--help"]);
  expect(help.exitCode).toBe(0);
  expect(help.out).toContain("Exit codes:");
});

test("[CLI9] a stack is shown only where it was asked for", async () => {
  const argv = ["task", "list", "--url", "http://127.0.0.1:9"];
  expect((await run(argv)).err).not.toMatch(/^ +at /m);
  expect((await run([...argv, "--debug"])).err).toMatch(/^ +at /m);
});

test("[CLI10] the token beside the data goes to a coordinator on this machine", async () => {
  await mkdir(join(cwd, "data"));
  await writeFile(join(cwd, "data", "admin-token"), "token-that-start-made\n");
  answers.set(`GET ${routes.tasks.path()}`, json({ items: [] }));
  await run(["task", "list", "--url", url, "--data", "data"], { env: {} });
  expect(asked[0]!.token).toBe("Bearer token-that-start-made");
  const { port } = server.address() as AddressInfo;
  await run(["task", "list", "--port", `${port}`, "--data", "data"], { env: {} });
  expect(asked[1]!.token).toBe("Bearer token-that-start-made");
  await run(["task", "list", "--url", url], { env: {} });
  expect(asked[2]!.token).toBeUndefined();
});

test("[CLI10] a token that no header carries and an address with a password are refused without being repeated", async () => {
  for (const [env, address] of [
    [{ TRIBUTARY_AUTH_ADMIN_TOKEN: "canary-of-a-token\nX-Other: 1" }, "https://elsewhere.example"],
    [{ TRIBUTARY_AUTH_ADMIN_TOKEN: "canary-of-a-token-\u20ac" }, "https://elsewhere.example"],
    [{}, "http://canary-of-a-user:canary-of-a-password@127.0.0.1:1"],
  ] as const) {
    const { exitCode, out, err } = await run(["task", "list", "--url", address], { env });
    expect(exitCode).toBe(3);
    expect(err).toContain("CONFIG_INVALID");
    expect(out + err).not.toContain("canary");
  }
});

test("[CLI10] the token beside the data is never sent elsewhere, nor any token after a redirect", async () => {
  await mkdir(join(cwd, ".tributary"));
  await writeFile(join(cwd, ".tributary", "admin-token"), "token-that-start-made\n");
  const given = globalThis.fetch;
  const sent: (string | null)[] = [];
  globalThis.fetch = async (_, init) => {
    sent.push(new Headers(init?.headers).get("authorization"));
    return Response.json({ items: [] });
  };
  try {
    await run(["task", "list", "--url", "https://elsewhere.example"], { env: {} });
    const env = { TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN };
    const plain = await run(["task", "list", "--url", "http://elsewhere.example"], { env });
    expect(plain.err).toContain("warning: the token travels unencrypted to elsewhere.example");
  } finally {
    globalThis.fetch = given;
  }
  expect(sent).toEqual([null, `Bearer ${ADMIN}`]);
  answers.set(`GET ${routes.tasks.path()}`, (response) => {
    response.writeHead(302, { location: "/elsewhere" }).end();
  });
  expect((await run(["task", "list"])).exitCode).toBe(6);
  expect(asked.map(({ path }) => path)).toEqual([routes.tasks.path()]);
});

let nextEventId = 0;
const sse = (type: string, data: object) => {
  nextEventId += 1;
  const event = { id: `${nextEventId}`, type, at: AT, taskId: TASK, data };
  return `id: ${event.id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
};
const phase = (roundNumber: number, changes: Partial<RoundResource>) =>
  sse("round:phaseChanged", round(roundNumber, changes));

/** Answers the n-th connection with the n-th text and cuts it; returns the ids they resumed from. */
function offerEvents(connections: readonly string[]) {
  const resumedFrom: (string | undefined)[] = [];
  answers.set(`GET ${routes.task.path({ taskId: TASK })}`, json(task()));
  answers.set(
    `GET ${routes.rounds.path({ taskId: TASK })}`,
    json({ items: [round(2, { phase: "committed" })] }),
  );
  answers.set(`GET ${routes.events.path()}`, (response, { lastEventId }) => {
    const text = connections[resumedFrom.length];
    resumedFrom.push(lastEventId);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(text ?? "");
    setTimeout(() => response.destroy(), 30);
  });
  return resumedFrom;
}

test("[CLI11] watch prints a line for each phase, resumes, and ends with the task", async () => {
  nextEventId = 0;
  const open = { phase: "reporting", participants: { selected: 10, reported: 0 } } as never;
  const resumedFrom = offerEvents([
    // The first is older than what the rounds said: round 2 is committed already.
    phase(2, open) + phase(3, open) + sse("round:progress", round(3, open)),
    phase(3, {}) + sse("task:stateChanged", { state: "ended", reason: "targetReached" }),
  ]);
  const { exitCode, out, err } = await run(["watch", TASK]);
  expect(exitCode).toBe(0);
  expect(out.trimEnd().split("\n")).toEqual([
    "03:04:05  digits.3  reporting",
    "03:04:05  digits.3  committed  reports 9/10  version 3  1.5 s",
    "03:04:05  digits  ended: targetReached",
  ]);
  expect(resumedFrom).toEqual([undefined, "3"]);
  expect(err).toMatch(/connection lost, trying again in 0\.\d s/);
  expect(asked.every(({ token }) => token === `Bearer ${ADMIN}`)).toBe(true);
});

test("[CLI11] watch asks for everything again when events were forgotten meanwhile", async () => {
  nextEventId = 0;
  offerEvents([sse("model:published", { modelVersion: 3 }), "event: reset\ndata: {}\n\n"]);
  let reads = 0;
  answers.set(`GET ${routes.task.path({ taskId: TASK })}`, (response, entry) => {
    reads += 1;
    const state = reads === 1 ? task() : task({ state: "ended", endReason: "cancelled" });
    json(state)(response, entry);
  });
  expect((await run(["watch", TASK])).exitCode).toBe(0);
  expect(reads).toBe(2);
});

test("[CLI11] watch --json gives each event as one line", async () => {
  nextEventId = 0;
  offerEvents([phase(3, {}) + sse("task:stateChanged", { state: "ended" })]);
  const { out } = await run(["watch", TASK, "--json"]);
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string });
  expect(events.map(({ type }) => type)).toEqual(["round:phaseChanged", "task:stateChanged"]);
});

test("[CLI12] on a terminal watch draws its table again in place, within its width and height", async () => {
  nextEventId = 0;
  offerEvents([
    [3, 4, 5, 6, 7, 8].map((n) => phase(n, {})).join("") +
      sse("task:stateChanged", { state: "ended", reason: "maxRoundsReached" }),
  ]);
  const size = () => ({ columns: 60, rows: 8 });
  const { out } = await run(["watch", TASK], { isTTY: true, size });
  const pictures = out.split(/\u001b\[\d+A\r\u001b\[J/);
  // One when connected and one for each event.
  expect(pictures).toHaveLength(8);
  const lines = pictures
    .at(-1)!
    .replace(/\u001b\[\d*m/g, "")
    .trimEnd()
    .split("\n");
  expect(lines[0]).toBe("digits  ended: maxRoundsReached");
  expect(lines.slice(2).map((line) => Number(line.trim().split(/\s+/)[0]))).toEqual([8, 7, 6, 5]);
  expect(lines.every((line) => line.length <= 60)).toBe(true);
});

test("[CLI12] a terminal that tells no size is drawn on as one of 80 x 24", async () => {
  offerEvents([phase(1, {}) + sse("task:stateChanged", { state: "ended", reason: "target" })]);
  const size = () => ({ columns: 0, rows: 0 });
  const { out } = await run(["watch", TASK], { isTTY: true, size });
  expect(out).toContain("digits  ended: target");
});

test("[CLI12] interrupting watch is not a failure", async () => {
  offerEvents([]);
  answers.set(`GET ${routes.events.path()}`, (response) => {
    response.writeHead(200).write(": open\n\n");
    interrupt.abort();
  });
  const interrupt = new AbortController();
  const ran = await run(["watch", TASK], { signal: interrupt.signal });
  expect(ran).toEqual({ exitCode: 0, out: "", err: "" });
});
