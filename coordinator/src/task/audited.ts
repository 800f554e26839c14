/** What steers, as the program around the coordinator gets it: each change it makes enters the audit log. */

import { toFederatedError } from "@tributary/protocol";

import type {
  AuditFact,
  AuditLog,
  EnrolmentRegistry,
  SigningKeys,
  TaskRegistry,
} from "../ports.ts";

export function auditTasks(tasks: TaskRegistry, audit: AuditLog): TaskRegistry {
  const recorded = recorder(audit);
  return {
    ...tasks,
    create: (spec, initialWeights) =>
      recorded("tasks.create", {}, () => tasks.create(spec, initialWeights)),
    pause: (taskId) => recorded("tasks.pause", { taskId }, () => tasks.pause(taskId)),
    resume: (taskId) => recorded("tasks.resume", { taskId }, () => tasks.resume(taskId)),
    cancel: (taskId) => recorded("tasks.cancel", { taskId }, () => tasks.cancel(taskId)),
  };
}

export function auditKeys(keys: SigningKeys, audit: AuditLog): SigningKeys {
  const recorded = recorder(audit);
  return {
    get publicKey() {
      return keys.publicKey;
    },
    list: () => keys.list(),
    rotate: () => recorded("keys.rotate", {}, () => keys.rotate()),
  };
}

export function auditEnrolment(enrolment: EnrolmentRegistry, audit: AuditLog): EnrolmentRegistry {
  const recorded = recorder(audit);
  return {
    ...enrolment,
    create: (request) => recorded("enrolment.create", {}, () => enrolment.create(request)),
    revoke: (tokenId) => recorded("enrolment.revoke", { tokenId }, () => enrolment.revoke(tokenId)),
  };
}

/** Entries as the API's: one before anything is done, one with the outcome before the call resolves. */
function recorder(audit: AuditLog) {
  const actor = "program";
  return async <T>(
    action: string,
    facts: AuditFact["facts"],
    run: () => Promise<T>,
  ): Promise<T> => {
    const request = await audit.append({
      kind: "admin:requested",
      actor,
      facts: { action, ...facts },
    });
    const answered = (outcome: string) =>
      audit.append({ kind: "admin:answered", actor, facts: { request: request.number, outcome } });
    let result: T;
    try {
      result = await run();
    } catch (error) {
      await answered(toFederatedError(error).code);
      throw error;
    }
    await answered("ok");
    return result;
  };
}
