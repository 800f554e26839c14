/** The bytes of a version for whoever looks at it: checkpoint, bare weights, manifest, and its copies for serving. */

import type { FederatedError as Fault, ModelResource, ServingEncoding } from "@tributary/protocol";
import { SERVING_ENCODINGS } from "@tributary/protocol";
import { useSignal } from "@preact/signals";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import type { ModelFormat } from "../data/model-download.ts";
import { fetchModel } from "../data/model-download.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { Icon } from "../ui/icon.tsx";
import { sentence } from "../ui/states.tsx";

const FORMATS: readonly (readonly [ModelFormat, string, string])[] = [
  ["frame", "Checkpoint", "The frame as the coordinator keeps it, verified by its digest"],
  ["weights", "Weights", "Little-endian float32 values in the order of the layout"],
  ["manifest", "Manifest", "What the coordinator signed about this version, as JSON"],
];

type Copy = NonNullable<NonNullable<ModelResource["copies"]>[ServingEncoding]>;
/** In the order of the protocol. */
export const copiesOf = ({
  copies = {},
}: ModelResource): readonly (readonly [ServingEncoding, Copy])[] =>
  SERVING_ENCODINGS.flatMap((encoding) => {
    const copy = copies[encoding];
    return copy === undefined ? [] : [[encoding, copy] as const];
  });

interface DownloadsProps {
  readonly model: ModelResource;
  readonly entry: TaskEntry;
}

export function Downloads({ model, entry }: DownloadsProps) {
  const { api } = useApp();
  const fault = useSignal<Fault | undefined>(undefined);
  const said = useSignal("");
  const save = async (format: ModelFormat) => {
    fault.value = undefined;
    said.value = "Fetching …";
    try {
      const file = await fetchModel(api, model, entry.task.peek().layout, format);
      saveAs(file.name, file.bytes);
      said.value = file.isVerified
        ? `${file.name} is verified and saved.`
        : `${file.name} is saved, unverified: browsers compute digests over TLS only.`;
    } catch (error) {
      fault.value = asFault(error);
      said.value = "";
    }
  };
  return (
    <div class="row">
      {[
        ...FORMATS,
        ...copiesOf(model).map(
          ([encoding]) => [encoding, encoding, "A copy in fewer bits, for serving"] as const,
        ),
      ].map(([format, title, meaning]) => (
        <button
          key={format}
          type="button"
          class="button"
          title={meaning}
          onClick={() => void save(format)}
        >
          <Icon name="download" />
          {title}
        </button>
      ))}
      <span class="small soft" role="status">
        {said}
      </span>
      {fault.value !== undefined && (
        <span class="small error-text" role="alert">
          {sentence(fault.value.message)}
        </span>
      )}
    </div>
  );
}

function saveAs(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
