/**
 * TensorBoard's event files: records of the protobuf message `Event`, the first of which names the format
 * (tensorboard/compat/proto: event, summary, tensor).
 */

import { doubleField, floatField, intField, messageField, stringField } from "./protobuf.ts";
import { encodeRecord } from "./tf-record.ts";

/** What was measured at one step, each number under its tag; or a text. */
export interface StepEvent {
  /** Seconds since the Unix epoch. */
  readonly wallTime: number;
  /** From 0. */
  readonly step: number;
  /** Numbers by tag; they travel as float32. */
  readonly scalars?: Readonly<Record<string, number>>;
  /** Markdown by tag. */
  readonly texts?: Readonly<Record<string, string>>;
}

const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2, tensor: 8, metadata: 9 } as const;
const METADATA = { pluginData: 1, dataClass: 4 } as const;
const PLUGIN_DATA = { pluginName: 1 } as const;
const TENSOR = { dtype: 1, shape: 2, stringVal: 8 } as const;
const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;

/** A whole file. @param createdAt seconds since the Unix epoch, for the record that names the format */
export function encodeEventFile(createdAt: number, events: readonly StepEvent[]): Uint8Array {
  const version = [
    doubleField(EVENT.wallTime, createdAt),
    stringField(EVENT.fileVersion, "brain.Event:2"),
  ];
  const messages = [Buffer.concat(version), ...events.map(encodeEvent)];
  return Buffer.concat(messages.map(encodeRecord));
}

function encodeEvent({ wallTime, step, scalars = {}, texts = {} }: StepEvent): Uint8Array {
  const values = [
    ...Object.entries(scalars).map(([tag, value]) => scalarValue(tag, value)),
    ...Object.entries(texts).map(([tag, text]) => textValue(tag, text)),
  ];
  return Buffer.concat([
    doubleField(EVENT.wallTime, wallTime),
    intField(EVENT.step, step),
    messageField(EVENT.summary, ...values.map((value) => messageField(SUMMARY.value, value))),
  ]);
}

const scalarValue = (tag: string, value: number): Uint8Array =>
  Buffer.concat([stringField(VALUE.tag, tag), floatField(VALUE.simpleValue, value)]);

/** A tensor of rank 0 that the text plugin shows. */
const textValue = (tag: string, text: string): Uint8Array =>
  Buffer.concat([
    stringField(VALUE.tag, tag),
    messageField(
      VALUE.metadata,
      messageField(METADATA.pluginData, stringField(PLUGIN_DATA.pluginName, "text")),
      intField(METADATA.dataClass, DATA_CLASS_TENSOR),
    ),
    messageField(
      VALUE.tensor,
      intField(TENSOR.dtype, DT_STRING),
      messageField(TENSOR.shape),
      stringField(TENSOR.stringVal, text),
    ),
  ]);
