/** Kernels in WebAssembly: opened where this engine has SIMD and may compile them. Plain code does their work elsewhere. */

/** What is needed of an engine's WebAssembly; not every engine has it. */
export type Wasm = Partial<Pick<typeof WebAssembly, "validate" | "Module" | "Instance" | "Memory">>;

export const wasmHere = (): Wasm =>
  (globalThis as { readonly WebAssembly?: Wasm }).WebAssembly ?? {};

/** As typed arrays show a memory it has the machine's numbers, which must be those of the kernel. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
/** Each is compiled once by an engine that has found it good. */
const compiled = new WeakMap<object, WeakMap<object, Map<string, WebAssembly.Module>>>();

/**
 * What a kernel exports; undefined where WebAssembly or its SIMD is missing, may not be compiled here, or where
 * `imports` throws.
 * @param base64 the module
 */
export function openWasm(
  base64: string,
  { validate, Module, Instance }: Wasm,
  imports: () => WebAssembly.Imports = () => ({}),
): WebAssembly.Exports | undefined {
  if (!LITTLE_ENDIAN || validate === undefined) return undefined;
  if (Module === undefined || Instance === undefined) return undefined;
  const modules = modulesOf(validate, Module);
  try {
    let module = modules.get(base64);
    if (module === undefined) {
      const code = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      if (!validate(code)) return undefined;
      module = new Module(code);
      modules.set(base64, module);
    }
    return new Instance(module, imports()).exports;
  } catch {
    // A policy may forbid code that is made at run time; memory may be short, or its addresses.
    return undefined;
  }
}

function modulesOf(validate: object, by: object): Map<string, WebAssembly.Module> {
  const found = compiled.get(validate) ?? new WeakMap<object, Map<string, WebAssembly.Module>>();
  compiled.set(validate, found);
  const modules = found.get(by) ?? new Map<string, WebAssembly.Module>();
  found.set(by, modules);
  return modules;
}
