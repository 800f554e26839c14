/** Versions of a task's model: which round made each from which version, how good it is, who signed it, its bytes. */

import type { ModelResource, Page } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { useSignal, useSignalEffect } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { useApp } from "../app.ts";
import type { HistoryTable } from "../data/long-history.ts";
import { createResource } from "../data/resource.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { useLongHistory } from "../data/use-long-history.ts";
import {
  bytesText,
  counted,
  countText,
  dateText,
  decimalText,
  digestText,
  NOTHING,
  percentText,
} from "../model/format.ts";
import { lineageOf } from "../model/lineage.ts";
import { CopyButton } from "../ui/copy-button.tsx";
import { Panel } from "../ui/panel.tsx";
import { FaultState, sentence, Skeleton } from "../ui/states.tsx";
import { copiesOf, Downloads } from "./downloads.tsx";

const ROWS = 20;
/** Steps back that are told; more are counted. */
const LINEAGE_STEPS = 6;

export function VersionsPanel({ entry }: { readonly entry: TaskEntry }) {
  const { api } = useApp();
  const { taskId, published } = entry;
  const { table } = useLongHistory(entry).value;
  /** Only versions below; undefined: the newest, kept up. */
  const before = useSignal<number | undefined>(undefined);
  const open = useSignal<number | undefined>(undefined);
  const list = useMemo(
    () =>
      createResource(() => {
        const below = before.peek() === undefined ? "" : `&before=${before.peek()}`;
        const path = `${routes.models.path({ taskId })}?limit=${ROWS}${below}`;
        return api.getJson<Page<ModelResource>>(path);
      }),
    [taskId],
  );
  useSignalEffect(() => {
    // Older ones do not change.
    if (before.value === undefined && published.value >= 0) list.want();
    list.refresh();
  });
  const { value, fault } = list.state.value;
  if (value === undefined) {
    return fault === undefined ? (
      <Skeleton lines={6} label="Loading the versions" />
    ) : (
      <FaultState title="The versions could not be loaded" fault={fault} onRetry={list.refresh} />
    );
  }
  return (
    <Panel
      title="Versions"
      wide
      aside={
        fault === undefined ? undefined : (
          <span class="small error-text">{sentence(fault.message)}</span>
        )
      }
    >
      <div class="table-scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col" class="wide-only">
                Made by
              </th>
              <th scope="col" class="number">
                Quality
              </th>
              <th scope="col" class="wide-only">
                Digest
              </th>
              <th scope="col" class="number wide-only">
                Size
              </th>
              <th scope="col">
                <span class="hidden-visually">More</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {value.items.map((model) => (
              <VersionRows
                key={model.modelVersion}
                {...{ model, entry, table }}
                isOpen={open.value === model.modelVersion}
                onToggle={() =>
                  (open.value = open.value === model.modelVersion ? undefined : model.modelVersion)
                }
              />
            ))}
          </tbody>
        </table>
      </div>
      <div class="foot">
        <span class="soft small">
          {before.value === undefined ? "The newest first" : `Older than version ${before.value}`}
        </span>
        <div class="row">
          {before.value !== undefined && (
            <button type="button" class="button" onClick={() => (before.value = undefined)}>
              Newest
            </button>
          )}
          {value.next !== undefined && (
            <button type="button" class="button" onClick={() => (before.value = value.next)}>
              Older
            </button>
          )}
        </div>
      </div>
    </Panel>
  );
}

interface VersionProps {
  readonly model: ModelResource;
  readonly entry: TaskEntry;
  readonly table: HistoryTable;
}

interface VersionRowsProps extends VersionProps {
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

function VersionRows({ isOpen, onToggle, ...version }: VersionRowsProps) {
  const { model } = version;
  const { modelVersion, roundNumber, createdAt, digest, bytes, evaluation } = model;
  return (
    <>
      <tr>
        <th scope="row">
          <span class="task-name">{countText(modelVersion)}</span>
        </th>
        <td class="wide-only">
          {roundNumber === undefined ? "the beginning" : `round ${countText(roundNumber)}`}{" "}
          <span class="soft small">{dateText(Date.parse(createdAt))}</span>
        </td>
        <td class="number">
          {evaluation?.accuracy === undefined
            ? evaluation === undefined
              ? NOTHING
              : `loss ${decimalText(evaluation.loss)}`
            : percentText(evaluation.accuracy)}
        </td>
        <td class="wide-only nowrap">
          <code title={digest}>{digestText(digest)}</code>{" "}
          <CopyButton text={digest} label={`Copy the digest of version ${modelVersion}`} />
        </td>
        <td class="number wide-only">{bytesText(bytes)}</td>
        <td class="number">
          <button
            type="button"
            class="button button-small"
            aria-expanded={isOpen}
            aria-label={`${isOpen ? "Less" : "More"} about version ${modelVersion}`}
            onClick={onToggle}
          >
            {isOpen ? "Less" : "More"}
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr class="row-more">
          <td colSpan={6}>
            <VersionFacts {...version} />
          </td>
        </tr>
      )}
    </>
  );
}

function VersionFacts({ model, entry, table }: VersionProps) {
  const { modelVersion, createdAt, digest, bytes, evaluation, signed } = model;
  return (
    <div class="version-facts">
      <Lineage table={table} version={modelVersion} />
      <dl class="facts">
        <dt>Made at</dt>
        <dd>{dateText(Date.parse(createdAt))}</dd>
        {evaluation !== undefined && (
          <>
            <dt>Judged on</dt>
            <dd>
              {counted(evaluation.numExamples, "example")},{" "}
              {evaluation.source === "central" ? "by the coordinator" : "by its clients"}: loss{" "}
              {decimalText(evaluation.loss)}
              {evaluation.macro !== undefined &&
                `, F1 ${decimalText(evaluation.macro.f1)}, precision ${decimalText(evaluation.macro.precision)}, recall ${decimalText(evaluation.macro.recall)}`}
            </dd>
          </>
        )}
        <dt>Digest</dt>
        <dd>
          <code>{digest}</code> <CopyButton text={digest} label="Copy the digest" />
        </dd>
        <dt>Signed by key</dt>
        <dd>
          <code>{signed.publicKey}</code>{" "}
          <CopyButton text={signed.publicKey} label="Copy the public key" />
        </dd>
        <dt>Size</dt>
        <dd>{bytesText(bytes)}</dd>
        {model.copies !== undefined && (
          <>
            <dt>Copies for serving</dt>
            <dd>
              {copiesOf(model)
                .map(([encoding, copy]) => `${encoding} ${bytesText(copy.bytes)}`)
                .join(", ")}
            </dd>
          </>
        )}
      </dl>
      <Downloads {...{ model, entry }} />
    </div>
  );
}

function Lineage({ table, version }: { readonly table: HistoryTable; readonly version: number }) {
  const steps = useMemo(() => lineageOf(table, version, LINEAGE_STEPS + 1), [table, version]);
  if (version === 0) return <p>The weights that the task was created with.</p>;
  if (steps.length === 0) {
    return <p class="soft">The round that made it is not kept any more.</p>;
  }
  const shown = steps.slice(0, LINEAGE_STEPS);
  const oldest = shown.at(-1)?.baseVersion ?? 0;
  return (
    <div>
      <h3>Lineage</h3>
      <ol class="lineage" aria-label={`Where version ${version} comes from`}>
        {shown.map(({ version: made, roundNumber, abandoned }) => (
          <li key={made}>
            <strong>{countText(made)}</strong>
            <span class="soft small">
              by round {countText(roundNumber)}
              {abandoned.length > 0 &&
                `, after ${counted(abandoned.length, "round")} that came to nothing`}
            </span>
          </li>
        ))}
        <li>
          <strong>{countText(oldest)}</strong>
          <span class="soft small">
            {oldest === 0 ? "the beginning" : `and ${counted(oldest, "version")} before it`}
          </span>
        </li>
      </ol>
    </div>
  );
}
