/** `tributary models list | show | download`. */

import { rename, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import type {
  Digest,
  ModelManifest,
  ModelResource,
  Page,
  PublicKey,
  ServingEncoding,
  TaskResource,
} from "@tributary/protocol";
import {
  decodeFrameHeader,
  decodeServingCopy,
  encodeCheckpoint,
  FederatedError,
  FRAME_HEADER_BYTES,
  isServingCopy,
  parseTaskId,
  routes,
  SERVING_ENCODINGS,
  sha256,
} from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";

import type { Api } from "./api.ts";
import type { CliIo } from "./io.ts";
import { answer, note, writeLine } from "./io.ts";
import { addPageOptions, pageQuery } from "./page.ts";
import type { PageFlags } from "./page.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { bytesText, MODEL_COLUMNS } from "./view.ts";
import { manifestLines, parseKey, vouchedFor } from "./vouched.ts";

interface VersionFlags extends TargetFlags {
  readonly version: number | "latest";
  readonly key?: PublicKey;
  readonly json?: true;
}
interface DownloadFlags extends VersionFlags {
  readonly out?: string;
  readonly weights?: true;
  readonly encoding?: ServingEncoding;
}

export function addModelsCommands(program: Command, io: CliIo): void {
  const models = program
    .command("models")
    .description("list, show or download versions of a model");
  const versionCommand = (name: string, description: string) =>
    models
      .command(name)
      .description(description)
      .argument("<taskId>")
      .option("--version <number>", "version, or latest", parseVersion, "latest")
      .option("--key <key>", "refuse what neither this key nor its successors signed", parseKey);

  addTargetOptions(
    addPageOptions(
      models
        .command("list")
        .description("the versions of a task's model, newest first")
        .argument("<taskId>")
        .option("--json", "as JSON"),
    ),
  ).action(async (id: string, flags: TargetFlags & PageFlags & { readonly json?: true }) => {
    const path = routes.models.path({ taskId: parseTaskId(id) });
    const api = await connect(io, flags);
    const page = await api.getJson<Page<ModelResource>>(`${path}${pageQuery(flags)}`);
    answer(io, flags.json, page, () => {
      writeTable(io, MODEL_COLUMNS, page.items, "no versions");
      if (page.next !== undefined) note(io, `older ones: --before ${page.next}`);
    });
  });

  addTargetOptions(
    versionCommand("show", "what the coordinator signed about a version").option(
      "--json",
      "the version, its manifest opened, as JSON",
    ),
  ).action(async (id: string, flags: VersionFlags) => {
    const api = await connect(io, flags);
    const path = routes.model.path({ taskId: parseTaskId(id), modelVersion: flags.version });
    const model = await api.getJson<ModelResource>(path);
    const manifest = await vouchedFor(api, model, flags.key);
    answer(io, flags.json, { ...model, manifest }, () => {
      for (const line of manifestLines(manifest, model.signed.publicKey)) writeLine(io, line);
    });
  });

  addTargetOptions(
    versionCommand("download", "save a version's checkpoint, verified by digest and signature")
      .option(
        "--out <file>",
        "where to (default: <taskId>-v<version>.ckpt, or .f32 with --weights)",
      )
      .addOption(
        new Option("--encoding <name>", "a copy in fewer bits, where the task has such").choices(
          SERVING_ENCODINGS,
        ),
      )
      .option("--weights", "only the little-endian float32 values, as `task create` reads them")
      .option("--json", "print what was saved as JSON"),
  ).action(async (id: string, flags: DownloadFlags) => {
    const taskId = parseTaskId(id);
    const api = await connect(io, flags);
    const path = routes.model.path({ taskId, modelVersion: flags.version });
    const model = await api.getJson<ModelResource>(path);
    const manifest = await vouchedFor(api, model, flags.key);
    const { encoding } = flags;
    const digest = encoding === undefined ? model.digest : copyOf(manifest, encoding).digest;
    const frame = await fetchVerified(api, digest);
    const content = flags.weights === true ? await weightsOf(api, model, frame) : frame;
    const kind = flags.weights === true ? "f32" : "ckpt";
    const suffix = encoding === undefined ? kind : `${encoding}.${kind}`;
    const name = `${taskId}-v${model.modelVersion}.${suffix}`;
    const file = resolve(io.cwd, flags.out ?? name);
    // A download that is interrupted leaves no half file under the name that was asked for.
    await writeFile(`${file}.part`, content);
    await rename(`${file}.part`, file);
    const { modelVersion } = model;
    note(io, `version ${modelVersion}, ${bytesText(content.length)}, digest ${digest} verified`);
    const by = flags.key === undefined ? "which you did not name with --key" : "trusted by --key";
    note(io, `signed by key ${model.signed.publicKey}, ${by}`);
    const saved = { ...model, ...(encoding === undefined ? {} : { encoding }), file };
    answer(io, flags.json, saved, () => writeLine(io, file));
  });
}

/** @throws FederatedError MODEL_NOT_FOUND where nothing was signed about such a copy */
function copyOf({ taskId, modelVersion, copies }: ModelManifest, encoding: ServingEncoding) {
  const copy = copies?.[encoding];
  if (copy !== undefined) return copy;
  throw new FederatedError(
    "MODEL_NOT_FOUND",
    `version ${modelVersion} of task "${taskId}" has no copy as ${encoding}; a task has those that it was created with (serving.encodings)`,
  );
}

/** @throws FederatedError CHECKPOINT_CORRUPT when the bytes are not those that were named */
async function fetchVerified(api: Api, digest: Digest): Promise<Uint8Array> {
  const frame = await api.getBytes(routes.checkpointByDigest.path({ digest }));
  const actual = await sha256(frame);
  if (actual !== digest) {
    throw new FederatedError(
      "CHECKPOINT_CORRUPT",
      `the coordinator names digest ${digest}, the bytes have ${actual}; try again`,
    );
  }
  if (!isServingCopy(frame)) decodeFrameHeader(frame, "checkpoint");
  return frame;
}

/** The float32 values, little-endian. */
async function weightsOf(
  api: Api,
  { taskId }: ModelResource,
  frame: Uint8Array,
): Promise<Uint8Array> {
  if (!isServingCopy(frame)) return frame.subarray(FRAME_HEADER_BYTES);
  const { layout } = await api.getJson<TaskResource>(routes.task.path({ taskId }));
  const { weights } = decodeServingCopy(layout, frame);
  weights.run(0, weights.length);
  // As this machine has them, and so in a checkpoint's order.
  const exact = encodeCheckpoint(layout, {
    modelVersion: 0,
    weights: new Float32Array(weights.bytes.buffer),
  });
  return exact.subarray(FRAME_HEADER_BYTES);
}

function parseVersion(text: string): number | "latest" {
  if (text === "latest") return text;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("write a number or `latest`");
}
