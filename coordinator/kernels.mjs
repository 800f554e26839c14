/**
 * Compiles the SIMD kernels (AssemblyScript, `*.as`) into modules that carry the bytes, so that neither a build nor
 * a user of the package needs the compiler. `npm run kernels` writes them; a test compares them with a fresh compile.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import asc from "assemblyscript/asc";

/**
 * `pages` of memory at first, `most` after growing; without `most` the memory is fixed. Without `pages` a kernel works
 * on whatever memory it is given.
 */
const KERNELS = [
  { source: "src/privacy/kernel/gaussian.as", pages: 2 },
  { source: "src/checksum/checksum.as" },
  { source: "src/aggregation/kernel/sums.as" },
  { source: "src/aggregation/robust/kernel/robust.as", pages: 1, most: 2048 },
];

/**
 * @param {string} [folder] of the kernels that are meant; all without
 * @returns {Promise<{ file: string, text: string }[]>} what each kernel's module should say
 */
export async function compileKernels(folder = "") {
  const compiled = [];
  for (const kernel of KERNELS.filter(({ source }) => source.startsWith(folder))) {
    const { source, pages, most = pages } = kernel;
    const path = (name) => fileURLToPath(new URL(name, import.meta.url));
    const text = await readFile(path(source), "utf8");
    const flags = ["--runtime", "stub", "--enable", "simd", "--noAssert", "-O3", "--converge"];
    const memory =
      pages === undefined
        ? ["--importMemory"]
        : ["--initialMemory", `${pages}`, "--maximumMemory", `${most}`];
    let bytes;
    const { error, stderr } = await asc.main(
      ["kernel.ts", ...flags, ...memory, "--outFile", "kernel.wasm"],
      {
        readFile: (name) => (name === "kernel.ts" ? text : null),
        writeFile: (_name, contents) => (bytes = contents),
        listFiles: () => [],
      },
    );
    if (error) throw new Error(`${source} does not compile: ${stderr.toString()}`);
    compiled.push({
      file: path(source.replace(/\.as$/, "-wasm.ts")),
      text: moduleOf(source.split("/").at(-1), Buffer.from(bytes).toString("base64")),
    });
  }
  return compiled;
}

function moduleOf(source, base64) {
  const lines = base64.match(/.{1,90}/g).map((line) => `  "${line}",`);
  return `/** ${source}, compiled: written by \`npm run kernels\`, never by hand. */

export const KERNEL_BASE64 = [
${lines.join("\n")}
].join("");
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { file, text } of await compileKernels()) await writeFile(file, text);
}
