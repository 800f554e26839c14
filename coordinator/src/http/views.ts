/** What the asker of a request may see of tasks under privacy: all of it as the operator, else what is public. */

import type { FastifyRequest } from "fastify";

import type { MonitoringView } from "../events/monitoring-view.ts";
import { createPublicView, operatorView } from "../events/monitoring-view.ts";
import { bearerToken } from "./authenticate.ts";
import type { HttpDeps } from "./deps.ts";

export type ViewOf = (request: FastifyRequest) => Promise<MonitoringView>;

/** Each asker gets one of two views, so that what is made for a view can be kept with it. */
export function createViews({ authenticator, tasks }: Pick<HttpDeps, "authenticator" | "tasks">) {
  const publicView = createPublicView((taskId) => tasks.isPrivate(taskId));
  const viewOf: ViewOf = async (request) =>
    (await authenticator.isOperator(bearerToken(request))) ? operatorView : publicView;
  return viewOf;
}
