/** The task registry as the program around the coordinator gets it: what it changes enters the audit log. */

import { toFederatedError } from "@tributary/protocol";

import type { AuditFact, AuditLog, TaskRegistry } from "../ports.ts";

/** Entries as the API's: one before anything is done, one with the outcome before the call resolves. */
export function auditTasks(tasks: TaskRegistry, audit: AuditLog): TaskRegistry {
  async function recorded<T>(
    action: string,
    facts: AuditFact["facts"],
    run: () => Promise<T>,
  ): Promise<T> {
    const actor = "program";
    const request = await audit.append({
      ...{ kind: "admin:requested", actor },
      facts: { action, ...facts },
    });
    const answered = (outcome: string) =>
      audit.append({
        ...{ kind: "admin:answered", actor },
        facts: { request: request.number, outcome },
      });
    let result: T;
    try {
      result = await run();
    } catch (error) {
      await answered(toFederatedError(error).code);
      throw error;
    }
    await answered("ok");
    return result;
  }

  return {
    ...tasks,
    create: (spec, initialWeights) =>
      recorded("tasks.create", {}, () => tasks.create(spec, initialWeights)),
    pause: (taskId) => recorded("tasks.pause", { taskId }, () => tasks.pause(taskId)),
    resume: (taskId) => recorded("tasks.resume", { taskId }, () => tasks.resume(taskId)),
    cancel: (taskId) => recorded("tasks.cancel", { taskId }, () => tasks.cancel(taskId)),
  };
}
