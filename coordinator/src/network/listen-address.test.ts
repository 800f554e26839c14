import { expect, test } from "vitest";

import { listenAddress } from "./listen-address.ts";

const resolved = (...addresses: string[]) =>
  Promise.resolve(addresses.map((address) => ({ address })));

test("[NET7] localhost is listened on at the loopback address it stands for", async () => {
  expect(await listenAddress("localhost", () => resolved("::1", "127.0.0.1"))).toBe("127.0.0.1");
  expect(await listenAddress("localhost", () => resolved("::1"))).toBe("::1");
  const unknown = () => Promise.reject(new Error("ENOTFOUND"));
  expect(await listenAddress("localhost", unknown)).toBe("127.0.0.1");
});

test("[NET7] a localhost that stands for another address is refused with it", async () => {
  const strange = listenAddress("localhost", () => resolved("127.0.0.1", "192.168.1.7"));
  await expect(strange).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("192.168.1.7") as string,
  });
});

test("[NET7] other hosts are left as they are: they are never taken for loopback", async () => {
  const never = () => Promise.reject(new Error("was asked"));
  for (const host of ["127.0.0.1", "::1", "0.0.0.0", "::", "192.168.1.7", "c.example"]) {
    expect(await listenAddress(host, never)).toBe(host);
  }
});
