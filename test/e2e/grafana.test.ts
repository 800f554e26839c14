import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";

import type { Evaluation } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { beforeAll, describe, expect, test } from "vitest";

import { makeCertificate, writeCertificate } from "../support/certificate.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw } from "../support/raw-client.ts";

const COORDINATOR = new URL("../../coordinator/", import.meta.url);
const ADMIN = "admin-token-of-this-test";
const evaluation: Evaluation = {
  source: "central",
  numExamples: 10,
  loss: 0.5,
  accuracy: 0.8,
  macro: { precision: 0.7, recall: 0.6, f1: 0.65 },
};

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly Target[];
}
interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

let dashboard: Dashboard;
let queries: string[];
/** What /metrics answers: each metric, with the labels and values that it came with. */
let served: Map<string, Map<string, Set<string>>>;

beforeAll(async () => {
  const file = new URL("grafana/tributary.json", COORDINATOR);
  dashboard = JSON.parse(await readFile(file, "utf8")) as Dashboard;
  const ofVariables = dashboard.templating.list
    .filter(({ type }) => type === "query")
    .map(({ query }) => (typeof query === "string" ? query : query.query));
  const ofPanels = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  queries = [...ofVariables, ...ofPanels];
  served = seriesOf([await metricsOfRounds(), await metricsOverTls()].join("\n"));
});

/** A private task with a committed round, a refused update and an abandoned round; refusals of other kinds. */
async function metricsOfRounds(): Promise<string> {
  await using running = await startCoordinator({
    config: { auth: { adminToken: ADMIN }, limits: { sseStreams: 1 } },
    evaluators: { fixed: { evaluate: () => Promise.resolve(evaluation) } },
  });
  const { coordinator, url } = running;
  await coordinator.tasks.create(
    smallTask({
      clippingNorm: 1,
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 1e6 },
      evaluation: { kind: "central", evaluator: "fixed" },
    }),
  );
  await using first = await connectRaw(url);
  await using second = await connectRaw(url);
  const assigned = async (client: RawClient) => {
    const { task } = await client.checkIn("small");
    return { client, layout: task.layout, assignment: await client.nextAssignment() };
  };
  const both = () => Promise.all([assigned(first), assigned(second)]);
  for (const { client, layout, assignment } of await both()) {
    expect((await client.put(assignment, "no update")).status).toBeGreaterThanOrEqual(400);
    const update = { delta: new Float32Array(7).fill(0.1), numExamples: 1, metrics: {} };
    await client.report(assignment, layout, update);
  }
  await running.roundEnded(1);
  await both();
  await coordinator.tasks.cancel("small" as never);
  await running.roundEnded(2);

  const denied = await fetch(url + routes.pauseTask.path({ taskId: "small" }), { method: "POST" });
  expect(denied.status).toBe(401);
  const stream = await fetch(url + routes.events.path());
  const refused = await fetch(url + routes.events.path());
  expect([stream.status, refused.status]).toEqual([200, 429]);
  await stream.body?.cancel();
  const headers = { authorization: `Bearer ${ADMIN}` };
  const answer = await fetch(url + routes.metrics.path(), { headers });
  return await answer.text();
}

async function metricsOverTls(): Promise<string> {
  await using folder = await temporaryFolder();
  const pair = makeCertificate();
  const tls = await writeCertificate(folder.path, pair);
  await using running = await startCoordinator({ config: { server: { tls } } });
  const asked = request(running.url + routes.metrics.path(), { ca: pair.cert, agent: false }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

function seriesOf(text: string): Map<string, Map<string, Set<string>>> {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const line of text.split("\n")) {
    const [, name, labels = ""] = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const known = found.get(name) ?? new Map<string, Set<string>>();
    found.set(name, known);
    for (const [, label = "", value = ""] of labels.matchAll(/([a-z_]+)="([^"]*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}

/** Selectors of a query: `name{label="value", …}`. */
const selectors = (query: string) =>
  [...query.matchAll(/\b((?:tributary|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g)].map(
    ([, name = "", matchers = ""]) => ({
      name,
      matchers: [...matchers.matchAll(/([a-z_]+)(=~?)"([^"]*)"/g)].map(
        ([, label = "", operator, value = ""]) => ({ label, operator, value }),
      ),
    }),
  );
/** Prometheus itself says which process it asked. */
const ADDED_BY_PROMETHEUS = "instance";

describe("the Grafana dashboard", () => {
  test("[EP9] every metric, label and fixed value that it asks for is there in /metrics", () => {
    expect(queries.length).toBeGreaterThan(20);
    for (const query of queries) {
      const used = selectors(query);
      expect(used, query).not.toEqual([]);
      for (const { name, matchers } of used) {
        const labels = served.get(name);
        expect(labels, `${name} in ${query}`).toBeDefined();
        for (const { label, operator, value } of matchers) {
          if (label === ADDED_BY_PROMETHEUS) continue;
          const values = labels!.get(label);
          expect(values, `label ${label} of ${name}`).toBeDefined();
          const fixed = value.split("|").filter((part) => !part.startsWith("$"));
          if (value.startsWith("$")) continue;
          expect(operator === "=" ? fixed.length : 1).toBe(1);
          for (const part of fixed) expect([...values!], `${label} of ${name}`).toContain(part);
        }
      }
      const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, by = ""]) =>
        by.split(/, */),
      );
      for (const label of grouped) {
        if (label === ADDED_BY_PROMETHEUS) continue;
        expect([...served.get(used[0]!.name)!.keys()], query).toContain(label);
      }
    }
  });

  test("[EP9] every label of a legend is one that its query leaves", () => {
    for (const { targets = [] } of dashboard.panels) {
      for (const target of targets) {
        const wanted = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name!);
        const by = /by \(([^)]*)\)/.exec(target.expr)?.[1]?.split(/, */);
        const isTotal = target.expr.startsWith("sum(");
        const left = by ?? [...served.get(selectors(target.expr)[0]!.name)!.keys()];
        for (const label of wanted) {
          expect(isTotal ? [] : [...left, ADDED_BY_PROMETHEUS], target.expr).toContain(label);
        }
      }
    }
  });

  test("[EP9] every metric of Tributary's own has its panel", () => {
    const shown = new Set(queries.flatMap((query) => selectors(query).map(({ name }) => name)));
    const own = [...served.keys()].filter((name) => name.startsWith("tributary_"));
    // A histogram's sum and count are in its buckets.
    const needed = own.filter((name) => !/_duration_seconds_(sum|count)$/.test(name));
    expect(needed.filter((name) => !shown.has(name))).toEqual([]);
    expect(needed.length).toBeGreaterThan(12);
  });

  test("[EP9] the data source is the reader's choice, panels have their own place, and the package holds the file", async () => {
    const [first] = dashboard.templating.list;
    expect(first).toMatchObject({ name: "datasource", type: "datasource", query: "prometheus" });
    const drawn = dashboard.panels.filter(({ type }) => type !== "row");
    for (const panel of drawn) {
      for (const uid of [panel.datasource, ...panel.targets!.map((t) => t.datasource)]) {
        expect(uid?.uid).toBe("${datasource}");
      }
      expect(panel.description, panel.title).toMatch(/\.$/);
    }
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
    const manifest = await readFile(new URL("package.json", COORDINATOR), "utf8");
    expect((JSON.parse(manifest) as { files: string[] }).files).toContain("grafana");
  });
});
