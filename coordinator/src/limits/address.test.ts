import { expect, test } from "vitest";

import { addressKey } from "./address.ts";

test.each([
  ["203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::", "fe80:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["1:2:3::5:6:7:8", "1:2:3:0::/64"],
  ["unknown", "unknown"],
])("[LIM3] %s counts as %s", (address, key) => {
  expect(addressKey(address)).toBe(key);
});
