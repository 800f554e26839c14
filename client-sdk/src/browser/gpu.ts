/** Is there a graphics card behind WebGPU or WebGL, and not the processor that plays one? */

/** What is asked, in a page or a Worker. */
export interface GpuWorld {
  readonly navigator?: {
    readonly gpu?: { requestAdapter(): Promise<GpuAdapter | null> };
  };
  readonly document?: { createElement(name: "canvas"): Canvas };
  readonly OffscreenCanvas?: new (width: number, height: number) => Canvas;
}

interface GpuAdapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: {
    readonly vendor?: string;
    readonly architecture?: string;
    readonly device?: string;
    readonly description?: string;
    readonly isFallbackAdapter?: boolean;
  };
}

interface Canvas {
  getContext(name: "webgl2", options: { failIfMajorPerformanceCaveat: boolean }): Context | null;
}

interface Context {
  readonly RENDERER: number;
  getExtension(name: "WEBGL_debug_renderer_info"): { UNMASKED_RENDERER_WEBGL: number } | null;
  getExtension(name: "WEBGL_lose_context"): { loseContext(): void } | null;
  getParameter(name: number): unknown;
}

export const theGpuWorld = (): GpuWorld => globalThis;

/** How those name themselves that compute on the processor. */
const SOFTWARE = /swiftshader|llvmpipe|softpipe|lavapipe|basic render|software|\bwarp\b/i;

/** @throws Error that says what is wrong */
export async function requireWebgpu({ navigator }: GpuWorld): Promise<void> {
  const adapter = await navigator?.gpu?.requestAdapter();
  if (adapter === undefined) throw new Error("this browser has no WebGPU");
  if (adapter === null) throw new Error("there is no adapter");
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info ?? {};
  const name = [vendor, architecture, device, description].filter(Boolean).join(" ");
  if (isFallbackAdapter === true || adapter.isFallbackAdapter === true || SOFTWARE.test(name)) {
    throw new Error(`its adapter is software (${name || "a fallback"})`);
  }
}

/** @throws Error that says what is wrong */
export async function requireWebgl({ document, OffscreenCanvas }: GpuWorld): Promise<void> {
  const canvas =
    OffscreenCanvas === undefined ? document?.createElement("canvas") : new OffscreenCanvas(1, 1);
  const context = canvas?.getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (context === undefined || context === null) {
    throw new Error("there is no WebGL 2, or only one in software");
  }
  const debug = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = context.getParameter(debug?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER);
  const name = typeof renderer === "string" ? renderer : "";
  context.getExtension("WEBGL_lose_context")?.loseContext();
  if (SOFTWARE.test(name)) throw new Error(`its renderer is software (${name})`);
}
