/** Downloads: checkpoints from memory, deltas between them and copies in fewer bits, beside a bare node:http server. */

import { fork } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

import type { TaskId } from "@tributary/protocol";
import {
  createLayout,
  diffCheckpoints,
  encodeServingCopy,
  routes,
  SERVING_ENCODINGS,
} from "@tributary/protocol";

import { gzipPlanes } from "../../../coordinator/src/http/gzip-planes.ts";
import { startCoordinator } from "../../support/coordinator.ts";
import { connectRaw } from "../../support/raw-client.ts";
import { digitsRows } from "./download-digits.ts";
import type { DownloadOrder } from "./download-reader.ts";
import { mapSpread, measure, measureInTurns } from "./measure.ts";
import type { Row, Section } from "./section.ts";

const TASK = "download" as TaskId;
const READER = fileURLToPath(new URL("./download-reader.ts", import.meta.url));

export const downloadSection: Section = {
  name: "download",
  title: "Downloads of a model",
  run: async (mini) => {
    const parameters = mini ? 5_000 : 1_000_000;
    const times = mini ? 4 : 40;
    const runs = mini ? 1 : 7;
    await using served = await serveModel(parameters);
    await using bare = await serveBare(served.bodies);
    await using reader = startReader();
    const names = Object.keys(served.bodies);
    const urls = Object.fromEntries(
      names.flatMap((name) => [
        [name, served.url + served.bodies[name]!.path],
        [bareName(name), `${bare.url}/${names.indexOf(name)}`],
      ]),
    );
    const measured = await measureInTurns(
      runs,
      Object.fromEntries(
        Object.entries(urls).map(([name, url]) => [name, () => reader.read({ url, times })]),
      ),
    );
    const cpuOf = (name: string) => measured[name]!.cpuMs.median;
    const rows = Object.keys(urls).map((name): Row => {
      const of = name.replace(BARE, "");
      const { bytes } = served.bodies[of]!;
      const { wallMs, cpuMs } = measured[name]!;
      return {
        name,
        ...(name === of ? {} : { isReference: true }),
        values: {
          KB: Number((bytes.length / 1e3).toPrecision(4)),
          "MB/s": mapSpread(wallMs, (ms) => (times * bytes.length) / ms / 1e3),
          "ms CPU each": mapSpread(cpuMs, (ms) => ms / times),
          ...(name === of
            ? { "CPU / bare": Number((cpuOf(name) / cpuOf(bareName(of))).toPrecision(3)) }
            : {}),
        },
      };
    });
    return {
      rows: [...rows, ...(await makingRows(served, runs)), ...(await digitsRows(mini))],
      notes: [
        `A model of ${parameters} parameters over keep-alive connections, four at a time; the reader is another process, so CPU is the server's alone. Bare: node:http that ends each request with the same buffer, and knows no pace, no token and no version.`,
        "MB/s are of what travels: a delta of a megabyte stands for a whole of four. Deltas and copies are made once for all clients.",
        "Digits: the 2NN of McMahan et al., 10 of 100 clients a round, IID; accuracy on the 10 000 test images.",
      ],
    };
  },
};

const BARE = /, bare$/;
const bareName = (name: string) => `${name}, bare`;

interface Body {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A coordinator with two versions of a model whose weights moved by about a thousandth, and copies of them. */
async function serveModel(parameters: number) {
  const running = await startCoordinator();
  const { coordinator, url } = running;
  const weights = Float32Array.from({ length: parameters }, (_, i) => Math.sin(i + 1) / 20);
  await coordinator.tasks.create(
    {
      taskId: TASK,
      model: { tensors: [{ name: "w", shape: [parameters] }] },
      sampler: { kind: "all" },
      schedule: { minClients: 1, minReports: 1 },
      serving: { encodings: SERVING_ENCODINGS },
    },
    weights,
  );
  {
    await using client = await connectRaw(url);
    const { task, assignment } = await client.checkIn(TASK);
    const delta = weights.map((weight, i) => weight * Math.sin(i * i) * 2e-3);
    const update = { delta, numExamples: 1, metrics: {} };
    await client.report(assignment ?? (await client.nextAssignment()), task.layout, update);
    await running.roundEnded(1);
  }
  const [zero, one] = [
    await coordinator.models.get(TASK, 0),
    await coordinator.models.get(TASK, 1),
  ];
  const [base, target] = await Promise.all(
    [zero, one].map(({ digest }) => coordinator.models.checkpoint(digest)),
  );
  const bodies: Record<string, Body> = {
    checkpoint: { path: one.url, bytes: target! },
    delta: {
      path: routes.checkpointFrom.path({ digest: one.digest, base: zero.digest }),
      bytes: (await coordinator.models.delta(one.digest, zero.digest)) ?? new Uint8Array(0),
    },
  };
  for (const encoding of SERVING_ENCODINGS) {
    const { url: path, digest } = one.copies![encoding]!;
    bodies[`${encoding} copy`] = { path, bytes: await coordinator.models.checkpoint(digest) };
  }
  const layout = await createLayout([{ name: "w", shape: [parameters] }]);
  return {
    ...{ url, bodies, base: base!, target: target!, layout, weights },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** What the coordinator does once for each pair, or version. */
async function makingRows(
  { base, target, layout, weights }: Awaited<ReturnType<typeof serveModel>>,
  runs: number,
): Promise<Row[]> {
  const making: Record<string, () => unknown> = {
    "making a delta": () => {
      const delta = diffCheckpoints(base, target);
      delta.run(0, delta.length);
      return gzipPlanes(delta.bytes);
    },
  };
  for (const encoding of SERVING_ENCODINGS) {
    making[`making a ${encoding} copy`] = () => {
      const copy = encodeServingCopy(layout, { modelVersion: 1, weights }, encoding);
      copy.run(0, copy.length);
    };
  }
  const rows: Row[] = [];
  for (const [name, run] of Object.entries(making)) {
    const { cpuMs } = await measure(runs, run);
    rows.push({ name, values: { "ms CPU each": cpuMs } });
  }
  return rows;
}

/** `/0`, `/1`, …: the same buffers, without a coordinator around them. */
async function serveBare(bodies: Readonly<Record<string, Body>>) {
  const buffers = Object.values(bodies).map(({ bytes }) => Buffer.from(bytes));
  const server = createServer((request, response) => {
    const body = buffers[Number(request.url?.slice(1))]!;
    response.writeHead(200, { "content-length": body.length }).end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function startReader() {
  const child = fork(READER, { execArgv: process.execArgv });
  return {
    read: (order: DownloadOrder) =>
      new Promise<void>((resolve, reject) => {
        child.once("message", ({ error }: { error?: string }) => {
          if (error === undefined) resolve();
          else reject(new Error(error));
        });
        child.send(order);
      }),
    [Symbol.asyncDispose]: async () => void child.kill(),
  };
}
