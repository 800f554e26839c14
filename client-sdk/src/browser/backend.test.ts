import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu/dist/backend_cpu.js";
import { afterEach, expect, test } from "vitest";
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";

import type { BrowserBackend, ChooseBackendOptions } from "./backend.ts";
import { chooseBackend } from "./backend.ts";
import type { GpuWorld } from "./gpu.ts";
import { selectBackend } from "./select-backend.ts";

const tf = { ...core, ...layers };
const packageFile = createRequire(import.meta.url).resolve(
  "@tensorflow/tfjs-backend-wasm/package.json",
);
const wasmPaths = join(dirname(packageFile), "dist") + sep;
const isKnown = (name: string) => (core.findBackendFactory(name) as unknown) !== null;
const wasm = async () => import("@tensorflow/tfjs-backend-wasm");
const cpu = async () => {
  await import("@tensorflow/tfjs-backend-cpu");
  // A test before this one may have seen it refused, and removed.
  if (!isKnown("cpu")) {
    core.registerBackend("cpu", () => new MathBackendCPU());
  }
};
const brokenWasm = async () => Promise.reject(new Error("blocked by a policy\nat somewhere"));

/** Registers a backend that computes on the processor under a GPU's name. */
const playing =
  (name: "webgl" | "webgpu", isFloat32 = true) =>
  async () => {
    await cpu();
    core.registerBackend(name, () => new MathBackendCPU());
    if (core.getKernelsForBackend(name).length === 0) core.copyRegisteredKernels("cpu", name);
    core.env().registerFlag("WEBGL_RENDER_FLOAT32_ENABLED", () => isFloat32);
    core.env().set("WEBGL_RENDER_FLOAT32_ENABLED", isFloat32);
  };

const dense = () =>
  layers.sequential({ layers: [layers.layers.dense({ units: 2, inputShape: [3] })] });
const convolution = () =>
  layers.sequential({
    layers: [
      layers.sequential({
        layers: [layers.layers.conv1d({ filters: 2, kernelSize: 2, inputShape: [3, 1] })],
      }),
      layers.layers.flatten(),
    ],
  });

const trialOf = (model: () => layers.LayersModel, inputShape: number[]) => ({
  ...{ model, batchSize: 2, loss: "meanSquaredError" as const },
  dataset: { xs: new Float32Array(12), ys: new Float32Array(4 * outputs(model)), inputShape },
});
const outputs = (model: () => layers.LayersModel) => (model === dense ? 2 : 4);

const HARDWARE = "ANGLE (NVIDIA, NVIDIA GeForce RTX 4070, OpenGL 4.5)";

function gpuWorld(renderer: string | null, adapter: unknown = { info: { vendor: "nvidia" } }) {
  const context = {
    RENDERER: 1,
    getExtension: (name: string) =>
      name === "WEBGL_debug_renderer_info" ? { UNMASKED_RENDERER_WEBGL: 2 } : null,
    getParameter: (name: number) => (name === 2 ? renderer : "WebKit WebGL"),
  };
  return {
    navigator: { gpu: { requestAdapter: async () => adapter } },
    document: { createElement: () => ({ getContext: () => (renderer === null ? null : context) }) },
  } as unknown as GpuWorld;
}

/** A clock by which each backend takes the same time for every step. */
function clock(stepMs: Partial<Record<BrowserBackend, number>>): () => number {
  let elapsed = 0;
  return () => (elapsed += stepMs[core.getBackend() as BrowserBackend] ?? 0);
}

const select = (
  options: Partial<ChooseBackendOptions<typeof tf>>,
  world = gpuWorld(HARDWARE),
  now = clock({ wasm: 10, webgl: 5, webgpu: 2 }),
) => selectBackend({ tf, wasm, wasmPaths, ...options }, { world, now });

afterEach(() => {
  for (const name of ["webgl", "webgpu"]) {
    if (isKnown(name)) core.removeBackend(name);
  }
});

test("[BR30] wasm is taken, with the kernels for training, where nothing is shown to be faster", async () => {
  const told: string[] = [];
  const choice = await chooseBackend({ tf, wasm, wasmPaths, cpu, log: (why) => told.push(why) });
  expect(choice).toEqual({ tf, backend: "wasm", reason: "wasm computes" });
  expect(told).toEqual(["wasm computes"]);
  expect(core.getKernel("Conv2DBackpropFilter", "wasm")).toBeDefined();
  expect(core.env().getBool("WASM_HAS_MULTITHREAD_SUPPORT")).toBe(false);
  // A graphics card that nobody has timed is not taken either.
  const untimed = await select({ webgl: playing("webgl") });
  expect(untimed.reason).toMatch(/^wasm computes \(webgl was not taken: without a trial .+\)$/);
  expect(core.getBackend()).toBe("wasm");
});

test("[BR31] a graphics card is taken only when it takes a real step of training in less time", async () => {
  const gpus = { webgl: playing("webgl"), webgpu: playing("webgpu") };
  const trial = trialOf(convolution, [3, 1]);
  const both = await select({ ...gpus, trial });
  expect(both).toEqual({
    backend: "webgpu",
    reason:
      "webgpu computes (wasm was not taken: a step took 10.0 ms, on webgpu 2.00 ms; " +
      "webgl was not taken: a step took 5.00 ms, on webgpu 2.00 ms)",
  });
  expect(core.getBackend()).toBe("webgpu");
  const slow = await select(
    { ...gpus, trial },
    gpuWorld(HARDWARE),
    clock({ wasm: 10, webgl: 10, webgpu: 11 }),
  );
  expect(slow.reason).toBe(
    "wasm computes (webgpu was not taken: a step took 11.0 ms, on wasm 10.0 ms; " +
      "webgl was not taken: a step took 10.0 ms, on wasm 10.0 ms)",
  );
  expect(core.getBackend()).toBe("wasm");
  // What was not taken holds nothing of the card.
  for (const name of ["webgl", "webgpu"]) expect(isKnown(name)).toBe(false);
});

test("[BR31] by a real clock a convolution on the processor loses against wasm, and leaves nothing behind", async () => {
  await select({});
  const before = core.memory().numTensors;
  const choice = await selectBackend(
    { tf, wasm, wasmPaths, webgl: playing("webgl"), trial: trialOf(convolution, [3, 1]) },
    { world: gpuWorld(HARDWARE), now: () => performance.now() },
  );
  expect(choice.reason).toMatch(
    / was not taken: a step took [0-9.]+ ms, on (wasm|webgl) [0-9.]+ ms/,
  );
  expect(core.memory().numTensors).toBe(before);
});

test("[BR32] a graphics card that is software, half precise, absent or broken is not taken, and why is said", async () => {
  const trial = trialOf(dense, [3]);
  const broken = async () => Promise.reject(new Error("no such chunk"));
  const webgl = playing("webgl");
  const webgpu = playing("webgpu");
  const fast = clock({ wasm: 10, webgl: 1, webgpu: 1 });
  for (const [options, world, why] of [
    [
      { webgl },
      gpuWorld(
        "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (LLVM 10.0.0)), SwiftShader driver)",
      ),
      "its renderer is software (ANGLE",
    ],
    [{ webgl }, gpuWorld("llvmpipe (LLVM 15.0.6, 256 bits)"), "its renderer is software (llvmpipe"],
    [
      { webgl },
      gpuWorld("ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11)"),
      "its renderer is software",
    ],
    [{ webgl }, gpuWorld(null), "there is no WebGL 2, or only one in software"],
    [{ webgl }, {}, "there is no WebGL 2, or only one in software"],
    [{ webgl: playing("webgl", false) }, gpuWorld(HARDWARE), "it computes in half precision"],
    [{ webgl: broken }, gpuWorld(HARDWARE), "no such chunk"],
    [{ webgpu }, {}, "this browser has no WebGPU"],
    [{ webgpu }, gpuWorld(null, null), "there is no adapter"],
    [
      { webgpu },
      gpuWorld(null, { isFallbackAdapter: true }),
      "its adapter is software (a fallback)",
    ],
    [
      { webgpu },
      gpuWorld(null, { info: { vendor: "google", architecture: "swiftshader" } }),
      "its adapter is software (google swiftshader)",
    ],
    [
      { webgpu },
      gpuWorld(null, { info: { vendor: "x", isFallbackAdapter: true } }),
      "its adapter is software (x)",
    ],
  ] as const) {
    const { backend, reason } = await select({ ...options, trial }, world, fast);
    expect([backend, reason], why).toEqual([
      "wasm",
      expect.stringContaining(`was not taken: ${why}`),
    ]);
    expect(core.getBackend()).toBe("wasm");
  }
});

test("[BR33] where wasm does not work a graphics card is taken, and the processor only for small models", async () => {
  const world = gpuWorld(HARDWARE);
  const dead = { wasm: brokenWasm };
  expect(await select({ ...dead, webgl: playing("webgl"), cpu }, world)).toEqual({
    backend: "webgl",
    reason: "webgl computes (wasm was not taken: blocked by a policy)",
  });
  const small = await select({ ...dead, cpu, trial: trialOf(dense, [3]) });
  expect(small.backend).toBe("cpu");
  for (const trial of [undefined, trialOf(convolution, [3, 1])]) {
    const fault = await select({ ...dead, cpu, ...(trial && { trial }) }).catch(
      (error: unknown) => error,
    );
    expect(fault).toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(
        /wasm was not taken: blocked by a policy; cpu was not taken: .+ prefer/,
      ),
    });
    expect(core.getBackend()).not.toBe("cpu");
  }
  await expect(select({ wasm: undefined as never })).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("[BR33] a preferred backend is taken or the choice fails", async () => {
  expect(await select({ prefer: "cpu", cpu })).toMatchObject({ backend: "cpu" });
  const webgl = playing("webgl");
  expect(await select({ prefer: "webgl", webgl })).toMatchObject({ backend: "webgl" });
  await expect(select({ prefer: "webgl", webgl }, gpuWorld("SwiftShader"))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("its renderer is software (SwiftShader)"),
  });
  await expect(select({ prefer: "wasm", wasm: brokenWasm, cpu })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});
