/**
 * Long computations beside the event loop: a thread that answers one question after another. For layers that are pure
 * otherwise, so that none of them need know node.
 */

import { createRequire } from "node:module";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Transferable, WorkerOptions } from "node:worker_threads";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

export interface Thread<Question, Answer> {
  /**
   * What is in `transfer` moves and is not copied.
   * @throws Error when the thread cannot start, fails or ends before it has answered: there is no answer then
   */
  ask(question: Question, transfer?: readonly Transferable[]): Promise<Answer>;
  /** Ends it, whatever it does. */
  close(): Promise<void>;
}

/** Lets everything run that waits. */
export const otherTurns = (): Promise<void> => setImmediate();

/**
 * Starts the module `./<name>-thread` beside the one whose address is given, which calls {@link answerQuestions}.
 * @param beside `import.meta.url` of who asks
 * @param prints where to what the thread's code prints goes; for code that is not ours
 * @throws Error when no thread can be made
 */
export function openThread<Question, Answer>(
  name: string,
  beside: string,
  prints: "stdout" | "stderr" = "stdout",
): Thread<Question, Answer> {
  const worker = startWorker(name, beside, { stdout: prints === "stderr" });
  if (prints === "stderr") worker.stdout.on("data", (text: Buffer) => process.stderr.write(text));
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  let failure: Error | undefined;
  let closing = false;
  // While nobody waits for an answer the thread keeps no process alive.
  worker.unref();
  const rest = () => {
    // Whoever closes it waits for its end, also when an answer that nobody wants any more comes before that.
    if (waiting.length === 0 && !closing) worker.unref();
  };
  const fail = (error: unknown) => {
    failure ??= new Error(`the thread "${name}" gave no answer`, { cause: error });
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  worker.on("message", ({ answer, error }: Reply<Answer>) => {
    if (error === undefined) waiting.shift()?.resolve(answer as Answer);
    else waiting.shift()?.reject(error);
    rest();
  });
  worker.on("error", fail);
  worker.on("messageerror", fail);
  worker.on("exit", () => fail(undefined));
  return {
    ask: (question, transfer = []) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        waiting.push({ resolve, reject });
        worker.ref();
        worker.postMessage(question, transfer);
      }),
    close: async () => {
      closing = true;
      await worker.terminate();
    },
  };
}

interface Reply<Answer> {
  readonly answer?: Answer;
  readonly error?: Error;
}

/** In the thread: answers each question, or says why not. What is in `transfer` moves and is not copied. */
export function answerQuestions(
  answer: (question: unknown) => { readonly answer: unknown; readonly transfer?: ArrayBuffer[] },
): void {
  if (isMainThread || parentPort === null) throw new Error("questions are answered in a thread");
  const port = parentPort;
  port.on("message", (question: unknown) => {
    try {
      const { transfer = [], ...reply } = answer(question);
      port.postMessage(reply satisfies Reply<unknown>, transfer);
    } catch (error) {
      port.postMessage({ error: error instanceof Error ? error : new Error(String(error)) });
    }
  });
}

/** From `dist` the compiled module; from source, where tests run without a build, through jiti. */
function startWorker(name: string, beside: string, options: WorkerOptions): Worker {
  if (!beside.endsWith(".ts")) return new Worker(new URL(`./${name}-thread.js`, beside), options);
  const jiti = createRequire(import.meta.url).resolve("jiti");
  const module = new URL(`./${name}-thread.ts`, beside).href;
  const make = `require(${JSON.stringify(jiti)}).createJiti(${JSON.stringify(module)}, { alias: ${JSON.stringify(sources())} })`;
  const start = `${make}.import(${JSON.stringify(module)})`;
  return new Worker(`${start}.catch((error) => { setImmediate(() => { throw error; }); });`, {
    ...options,
    eval: true,
  });
}

/** The other package from source as well: jiti by itself would find what was built last. */
function sources(): Record<string, string> {
  const at = (file: string) =>
    fileURLToPath(new URL(`../../protocol/src/${file}`, import.meta.url));
  return { "@tributary/protocol/schema": at("schema.ts"), "@tributary/protocol": at("index.ts") };
}
