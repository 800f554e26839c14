/**
 * What a page loads of the SDK, gzipped: `npm run size`, and a test. An entry counts with every chunk that it
 * imports statically; "later" are the chunks that it imports when they are needed.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WEB = "client-sdk/dist/web";
const root = fileURLToPath(new URL(".", import.meta.url));

const STATIC = /(?:from|import)\s*["'](\.[^"']+)["']/g;
const LATER = /import\(\s*["'`](\.[^"'`]+)["'`]\s*\)/g;

/** The files that those of `from` import, and theirs, with themselves. */
function closure(files, seen = new Set()) {
  for (const file of files) {
    if (seen.has(file)) continue;
    seen.add(file);
    closure(importsOf(file, STATIC), seen);
  }
  return [...seen];
}

function importsOf(file, pattern) {
  if (!existsSync(root + file)) return [];
  const code = readFileSync(root + file, "utf8");
  return [...code.matchAll(pattern)].map(([, path]) => join(dirname(file), path));
}

const atStart = (entry) => closure([`${WEB}/${entry}.js`]);

function later(entry) {
  const start = atStart(entry);
  const chunks = start.flatMap((file) => importsOf(file, LATER));
  return closure(chunks).filter((file) => !start.includes(file));
}

const check = (name, path, limit) => ({ name, path, limit, gzip: true });

export default [
  check("@tributary/client-sdk with its socket", atStart("index"), "20 kB"),
  check("@tributary/client-sdk/tfjs, without TF.js", atStart("tfjs"), "11.7 kB"),
  check("@tributary/client-sdk/browser", atStart("browser"), "10.6 kB"),
  check("@tributary/client-sdk/worker", atStart("worker"), "5.3 kB"),
  check("@tributary/client-sdk/one-shot, all in one file", atStart("one-shot"), "24.6 kB"),
  check("@tributary/client-sdk/react, without React", atStart("react"), "21.1 kB"),
  ...(later("index").length > 0
    ? [
        check(
          "@tributary/client-sdk, what training, privacy, encodings, large models, former ones and copies load later",
          later("index"),
          "17.5 kB",
        ),
      ]
    : []),
];
