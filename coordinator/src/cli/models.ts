/** `tributary models list | show | download`. */

import { rename, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import type { ModelResource, Page, PublicKey } from "@tributary/protocol";
import {
  decodeFrameHeader,
  FederatedError,
  FRAME_HEADER_BYTES,
  parseTaskId,
  routes,
  sha256,
} from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";

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
      .option("--weights", "only the little-endian float32 values, as `task create` reads them")
      .option("--json", "print what was saved as JSON"),
  ).action(async (id: string, flags: DownloadFlags) => {
    const taskId = parseTaskId(id);
    const api = await connect(io, flags);
    const path = routes.model.path({ taskId, modelVersion: flags.version });
    const model = await api.getJson<ModelResource>(path);
    await vouchedFor(api, model, flags.key);
    const frame = await fetchVerified(api, model);
    const content = flags.weights === true ? frame.subarray(FRAME_HEADER_BYTES) : frame;
    const name = `${taskId}-v${model.modelVersion}.${flags.weights === true ? "f32" : "ckpt"}`;
    const file = resolve(io.cwd, flags.out ?? name);
    // A download that is interrupted leaves no half file under the name that was asked for.
    await writeFile(`${file}.part`, content);
    await rename(`${file}.part`, file);
    const { modelVersion, digest } = model;
    note(io, `version ${modelVersion}, ${bytesText(content.length)}, digest ${digest} verified`);
    const by = flags.key === undefined ? "which you did not name with --key" : "trusted by --key";
    note(io, `signed by key ${model.signed.publicKey}, ${by}`);
    answer(io, flags.json, { ...model, file }, () => writeLine(io, file));
  });
}

/** @throws FederatedError CHECKPOINT_CORRUPT when the bytes are not those that the coordinator named */
async function fetchVerified(api: Api, model: ModelResource): Promise<Uint8Array> {
  const frame = await api.getBytes(routes.checkpointByDigest.path({ digest: model.digest }));
  const digest = await sha256(frame);
  if (digest !== model.digest) {
    throw new FederatedError(
      "CHECKPOINT_CORRUPT",
      `the coordinator names digest ${model.digest}, the bytes have ${digest}; try again`,
    );
  }
  decodeFrameHeader(frame, "checkpoint");
  return frame;
}

function parseVersion(text: string): number | "latest" {
  if (text === "latest") return text;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("write a number or `latest`");
}
