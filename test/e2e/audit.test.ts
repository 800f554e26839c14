import type { AuditPage, TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import { clientIdOf } from "../../coordinator/src/clients/pseudonym.ts";
import type { AuditFact } from "../../coordinator/src/ports.ts";
import { expectChain } from "../conformance/audit.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const ADMIN = "an-admin-token-for-tests";
const CANARY = 0.314_159_27;

test("[AL18] a private task's whole life is in the log, and no client, token or number of an update is", async () => {
  await using running = await startCoordinator({
    config: { auth: { adminToken: ADMIN, enrolment: { enabled: true } } },
  });
  const { coordinator, url } = running;
  const headers = { authorization: `Bearer ${ADMIN}` };
  await coordinator.tasks.create(
    smallTask({
      sampler: { kind: "poisson", samplingRate: 1, population: 2 },
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 100 },
      weighting: { kind: "uniform" },
      clippingNorm: 1,
    }),
  );
  const { token, tokenId } = await coordinator.enrolment.create({ uses: 2 });

  const keys = [newClientKey(), newClientKey()];
  const clients: RawClient[] = [];
  for (const clientKey of keys) clients.push(await connectRaw(url, { clientKey, token }));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  const assignments = await Promise.all(
    clients.map(async (client, i) => replies[i]!.assignment ?? (await client.nextAssignment())),
  );
  await Promise.all(
    clients.map((client, i) =>
      client.report(assignments[i]!, replies[i]!.task.layout, {
        delta: new Float32Array(7).fill(CANARY),
        numExamples: 1,
        metrics: { trainLoss: CANARY },
      }),
    ),
  );
  const round = await running.roundEnded(1);
  expect(round.phase).toBe("committed");
  const cancel = await fetch(url + routes.cancelTask.path({ taskId: TASK }), {
    method: "POST",
    headers,
  });
  expect(cancel.status).toBe(200);
  for (const client of clients) await client[Symbol.asyncDispose]();

  const answer = await fetch(`${url}${routes.audit.path()}?limit=1000`, { headers });
  const text = await answer.text();
  const { items, head } = JSON.parse(text) as AuditPage;
  expectChain(items);
  expect(head).toEqual(await coordinator.audit.head());
  const told = items.map(({ record }) => {
    const { actor, kind, facts } = JSON.parse(record) as AuditFact;
    return `${actor} ${kind} ${facts.roundId ?? facts.action ?? ""}`.trim();
  });
  const rest = [...told];
  // In this order, whatever else happened between them.
  for (const line of [
    "coordinator key:added",
    "program admin:requested tasks.create",
    "coordinator task:created",
    "coordinator model:published",
    "program admin:answered",
    "program admin:requested enrolment.create",
    "coordinator enrolment:issued",
    "program admin:answered",
    "client enrolment:used",
    "client enrolment:used",
    "coordinator privacy:reserved small.1",
    "coordinator round:committed small.1",
    "coordinator model:published",
    "coordinator privacy:released small.1",
    "operator admin:requested POST /v1/tasks/:taskId/cancel",
    "coordinator task:stateChanged",
    "operator admin:answered",
  ]) {
    const at = rest.indexOf(line);
    expect(at, `${line} in ${told.join("\n")}`).toBeGreaterThanOrEqual(0);
    rest.splice(0, at + 1);
  }

  expect(text).toContain(tokenId);
  const ids = await Promise.all(keys.map((key) => clientIdOf(key)));
  for (const secret of [
    ...keys,
    ...ids,
    token,
    ADMIN,
    ...assignments.map(({ update }) => update.token),
    String(CANARY),
    String(Math.fround(CANARY)),
  ]) {
    expect(text).not.toContain(secret);
  }
});
