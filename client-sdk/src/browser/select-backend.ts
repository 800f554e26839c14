/** Tries the backends of a browser one after the other and keeps the one that takes a step of training fastest. */

import { FederatedError } from "@tributary/protocol";

import { firstLine, startBackend } from "../tfjs/backend.ts";
import type { TensorFlow } from "../tfjs/tensorflow.ts";
import type { BrowserBackend, ChooseBackendOptions } from "./backend.ts";
import type { GpuWorld } from "./gpu.ts";
import { requireWebgl, requireWebgpu, theGpuWorld } from "./gpu.ts";
import { timeStep, trainsSlowlyOnCpu } from "./trial.ts";

export interface Selection {
  readonly backend: BrowserBackend;
  readonly reason: string;
}

export interface SelectionDeps {
  readonly world: GpuWorld;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

interface Tried {
  readonly name: BrowserBackend;
  /** Of a step of the trial; undefined where there was nothing to compare with. */
  readonly stepMs: number | undefined;
}

/** @throws FederatedError UNAVAILABLE */
export async function selectBackend(
  options: ChooseBackendOptions<TensorFlow>,
  { world, now }: SelectionDeps = { world: theGpuWorld(), now: () => performance.now() },
): Promise<Selection> {
  const { tf, trial, prefer } = options;
  const load = loaders(options);
  const others: string[] = [];
  const pass = (name: string, why: string) => others.push(`${name} was not taken: ${why}`);

  /** Starts it, and times it against the best so far. @returns the better of the two */
  async function attempt(
    name: BrowserBackend,
    best: Tried | undefined,
  ): Promise<Tried | undefined> {
    if (load[name] === undefined || (prefer !== undefined && name !== prefer)) return best;
    try {
      if (name === "webgl" || name === "webgpu") {
        if (best !== undefined && trial === undefined) {
          throw new Error("without a trial nothing says that it would be faster");
        }
        await (name === "webgl" ? requireWebgl(world) : requireWebgpu(world));
      }
      await startBackend(tf, { name, load: load[name] });
      if (name === "webgl" && !tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED")) {
        throw new Error("it computes in half precision");
      }
      if (name === "cpu" && prefer === undefined && (await trainsSlowlyOnCpu(trial))) {
        throw new Error(
          'it would train convolutions and embeddings hundreds of times as slowly; prefer: "cpu" takes it',
        );
      }
      const stepMs =
        trial !== undefined && mustRace(name) ? await timeStep(tf, trial, now) : undefined;
      return await better({ name, stepMs }, best);
    } catch (error) {
      pass(name, firstLine(error));
      await drop(name, best);
      return best;
    }
  }

  /** Is there anything to compare it with? */
  function mustRace(name: BrowserBackend): boolean {
    if (prefer !== undefined || name === "cpu") return false;
    return name !== "wasm" || load.webgpu !== undefined || load.webgl !== undefined;
  }

  async function better(tried: Tried, best: Tried | undefined): Promise<Tried> {
    if (best === undefined) return tried;
    const [faster, slower] =
      inOrder(tried) < inOrder(best) ? ([tried, best] as const) : ([best, tried] as const);
    pass(slower.name, `a step took ${inWords(slower)}, on ${faster.name} ${inWords(faster)}`);
    await drop(slower.name, faster);
    return faster;
  }

  /** Goes back to the other one, and gives back what this one holds of a graphics card. */
  async function drop(name: BrowserBackend, other: Tried | undefined): Promise<void> {
    if (other !== undefined) await tf.setBackend(other.name);
    const isKnown = (tf.findBackendFactory(name) as unknown) !== null;
    if (name !== "wasm" && isKnown) tf.removeBackend(name);
  }

  let taken: Tried | undefined;
  for (const name of ["wasm", "webgpu", "webgl"] as const) taken = await attempt(name, taken);
  taken ??= await attempt("cpu", undefined);
  if (taken === undefined) {
    const tried = others.length > 0 ? others.join("; ") : "none was given";
    throw new FederatedError("UNAVAILABLE", `no TensorFlow.js backend works: ${tried}`);
  }
  const rest = others.length === 0 ? "" : ` (${others.join("; ")})`;
  return { backend: taken.name, reason: `${taken.name} computes${rest}` };
}

const inOrder = ({ stepMs }: Tried): number => stepMs ?? Infinity;
const inWords = ({ stepMs }: Tried): string => `${(stepMs ?? Infinity).toPrecision(3)} ms`;

function loaders({
  wasm,
  wasmPaths,
  webgpu,
  webgl,
  cpu,
}: ChooseBackendOptions<TensorFlow>): Readonly<
  Record<BrowserBackend, (() => Promise<unknown>) | undefined>
> {
  const loadWasm = async () => {
    const { setWasmPaths } = (await wasm?.()) ?? {};
    if (wasmPaths !== undefined) {
      setWasmPaths?.(typeof wasmPaths === "string" ? wasmPaths : { ...wasmPaths });
    }
  };
  return { wasm: wasm === undefined ? undefined : loadWasm, webgpu, webgl, cpu };
}
