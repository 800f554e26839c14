import * as core from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-layers";
import "@tensorflow/tfjs-backend-cpu";
import { expect, test } from "vitest";

import { setFirstBackend } from "./backend.ts";

const missing = {
  name: "webgpu",
  load: () => Promise.reject(new Error("no adapter\nat somewhere")),
};

test("[TF40] the first backend that computes is taken, and the reason names why faster ones were not", async () => {
  const unknown = { name: "quantum" };
  const choice = await setFirstBackend(core, [missing, unknown, { name: "cpu" }]);
  expect(choice.backend).toBe("cpu");
  expect(core.getBackend()).toBe("cpu");
  expect(choice.reason).toMatch(
    /^cpu computes \(webgpu was not taken: no adapter; quantum was not/,
  );
});

test("[TF40] where no backend works, the error holds every reason", async () => {
  await expect(setFirstBackend(core, [missing])).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringMatching(/webgpu was not taken: no adapter$/),
  });
});

test("[TF40] a backend that starts but computes nonsense is not taken", async () => {
  core.registerBackend("broken", () => {
    const backend = new core.KernelBackend();
    return Object.assign(backend, { write: () => ({}), dispose: () => undefined });
  });
  const choice = await setFirstBackend(core, [{ name: "broken" }, { name: "cpu" }]);
  expect(choice).toMatchObject({ backend: "cpu", reason: expect.stringMatching(/broken was not/) });
  core.removeBackend("broken");
});
