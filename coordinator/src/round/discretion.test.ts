import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { TaskRecord } from "../ports.ts";
import { errorToLog } from "./discretion.ts";

const task = (mechanism: string) => ({ spec: { privacy: { mechanism } } }) as unknown as TaskRecord;

test("[EG7] an arithmetic error of a private task is logged by where it was thrown, without its numbers", () => {
  const error = new RangeError("a sum of 37.125 is too much\nfor a norm of 13.5");
  const logged = errorToLog(task("central"), error);
  expect(logged).toMatchObject({ name: "RangeError", message: "withheld" });
  expect(JSON.stringify(logged)).toContain("discretion.test.ts");
  expect(JSON.stringify(logged)).not.toMatch(/37|13\.5/);
  expect(errorToLog(task("central"), "37.125")).toBe("withheld");
  expect(errorToLog(task("none"), error)).toBe(error);
});

test("[EG7] what is coded speaks of files and settings, and is logged as it is", () => {
  const coded = new FederatedError("CHECKPOINT_CORRUPT", "the checkpoint 3fa is damaged");
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  for (const error of [coded, full]) expect(errorToLog(task("matrix"), error)).toBe(error);
});
