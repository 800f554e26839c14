/** Runs some test files of a workshop with vitest, and says what became of each test. */

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Workshop } from "./workshop.ts";

export interface FailedTest {
  /** From the workshop's root. */
  readonly file: string;
  readonly title: string;
}

export interface TestRun {
  readonly passed: number;
  /** Tests in which an assertion failed. */
  readonly refuted: readonly FailedTest[];
  /** Tests and files that failed in any other way: code that does not load, names that are not defined. */
  readonly broken: readonly FailedTest[];
  /** Files that tests were found in, from the workshop's root. */
  readonly files: readonly string[];
  readonly timedOut: boolean;
  readonly durationMs: number;
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface RunTestsOptions {
  readonly tests: readonly string[];
  /** A bug may make a test wait for ever. */
  readonly timeoutMs: number;
}

export async function runTests(
  { root }: Workshop,
  { tests, timeoutMs }: RunTestsOptions,
): Promise<TestRun> {
  const startedAt = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "tributary-report-"));
  const outputFile = join(folder, "report.json");
  try {
    const timedOut = await runVitest(root, tests, outputFile, timeoutMs);
    const report = await readFile(outputFile, "utf8").then(
      (text) => JSON.parse(text) as Report,
      (): Report => ({ testResults: [] }),
    );
    return { ...summarize(report, root), timedOut, durationMs: performance.now() - startedAt };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns whether it had to be ended */
async function runVitest(
  root: string,
  tests: readonly string[],
  outputFile: string,
  timeoutMs: number,
): Promise<boolean> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = ["run", "--reporter=json", `--outputFile=${outputFile}`, ...tests];
  // Of a run around this one, vitest's own variables must not be believed.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|VITE_|NODE_V8_|TEST$)/.test(name)),
  );
  const child = spawn(process.execPath, [vitest, ...args], {
    cwd: root,
    env: { ...env, NODE_ENV: "test" },
    stdio: "ignore",
    // A group of its own: workers that hang go with it.
    detached: true,
  });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  };
  process.once("exit", kill);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => {
      resolve();
    });
  }).finally(() => {
    clearTimeout(timer);
    process.off("exit", kill);
  });
  return timedOut;
}

/**
 * An assertion of vitest, also one inside a property of fast-check, which quotes it as its cause; and what
 * `expect(…).rejects` says of a promise that kept itself: its other half would say that of code that is broken.
 */
const isAssertion = (message: string): boolean =>
  message.includes("AssertionError") ||
  /^Error: promise resolved .* instead of rejecting/s.test(message);

function summarize(
  { testResults }: Report,
  root: string,
): Omit<TestRun, "timedOut" | "durationMs"> {
  const files = testResults.map(({ name, message, status, assertionResults }) => ({
    ...{ file: name.replace(`${root}/`, ""), message, status, results: assertionResults },
    failed: assertionResults.filter((result) => result.status === "failed"),
  }));
  const failed = files.flatMap(({ file, failed }) =>
    failed.map(({ fullName, failureMessages }) => ({
      found: { file, title: fullName.trim() },
      isRefuted: failureMessages.some(isAssertion),
      reason: firstLine(failureMessages[0]),
    })),
  );
  return {
    passed: files.flatMap(({ results }) => results).filter(({ status }) => status === "passed")
      .length,
    refuted: failed.filter(({ isRefuted }) => isRefuted).map(({ found }) => found),
    broken: [
      ...failed
        .filter(({ isRefuted }) => !isRefuted)
        .map(({ found: { file, title }, reason }) => ({ file, title: `${title}: ${reason}` })),
      // A file that could not be loaded has failed without a failing test.
      ...files
        .filter(({ status, failed }) => status === "failed" && failed.length === 0)
        .map(({ file, message }) => ({ file, title: `${file}: ${firstLine(message)}` })),
    ],
    files: files.filter(({ results }) => results.length > 0).map(({ file }) => file),
  };
}

const firstLine = (message = "no message"): string => message.split("\n", 1)[0] ?? "";
