/**
 * A bad network between clients and a coordinator: a TCP proxy that delays, cuts, truncates, falls silent,
 * flips bits, sends requests twice and lets later connections overtake earlier ones, all from one seed.
 * Bytes inside one connection keep their order, as TCP sees to.
 */

import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { createRandom } from "./random.ts";

/** Probabilities of faults, each drawn for every request (a socket is one). */
export interface Faults {
  /** Longest delay of a piece of bytes; each is drawn anew, and no piece overtakes another. */
  readonly delayMs: number;
  /** Longest time that a connection's first bytes are held back, so that later ones come first. */
  readonly holdBackMs: number;
  /** Broken off after a random number of bytes, in the direction of the client or of the coordinator. */
  readonly cut: number;
  /** Silent after a random number of bytes: nothing comes through, and nothing says so, for a second. */
  readonly halfOpen: number;
  /** An upload or download, of which a bit of the body is flipped. */
  readonly corrupt: number;
  /** An upload whose bytes are sent a second time, on a connection of their own. */
  readonly duplicate: number;
}

export interface ChaosProxy extends AsyncDisposable {
  readonly url: string;
  /** How often each fault has happened. */
  readonly done: Readonly<Record<keyof Faults, number>>;
  /** No more faults from now on. */
  calm(): void;
}

const SILENCE_MS = 1_000;

export async function startChaosProxy(
  target: string,
  faults: Faults,
  seed: number,
): Promise<ChaosProxy> {
  const random = createRandom(seed);
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  const done = { delayMs: 0, holdBackMs: 0, cut: 0, halfOpen: 0, corrupt: 0, duplicate: 0 };
  let calm = false;
  const happens = (fault: "cut" | "halfOpen" | "corrupt" | "duplicate") =>
    !calm && random.chance(faults[fault]);
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    return socket;
  };

  /** The same request again, by somebody who does not wait for the answer. */
  const replay = (request: Buffer) => {
    done.duplicate += 1;
    const again = keep(connect(Number(port), hostname));
    again.resume();
    again.end(request);
  };

  const server = createServer((client) => {
    keep(client);
    const upstream = keep(connect(Number(port), hostname));
    const both = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("close", both);
    upstream.on("close", both);
    const heldUntil = performance.now() + (calm ? 0 : random.next() * faults.holdBackMs);
    if (!calm && faults.holdBackMs > 0) done.holdBackMs += 1;
    /** What befalls the request under way. Most messages have some hundred bytes. */
    let fate = { cutAt: Infinity, silentAt: Infinity, damaged: false };
    let recorded: Buffer | undefined;
    let passed = 0;

    const pump = (from: Socket, to: Socket, change: (chunk: Buffer) => Buffer) => {
      let last = Promise.resolve();
      from.on("data", (chunk: Buffer) => {
        const changed = change(chunk);
        const delayMs = calm ? 0 : random.next() * faults.delayMs;
        if (delayMs > 0) done.delayMs += 1;
        const due = Math.max(calm ? 0 : heldUntil, performance.now() + delayMs);
        last = last.then(async () => {
          const waitMs = due - performance.now();
          if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
          if (to.destroyed) return;
          passed += changed.length;
          if (passed > fate.cutAt) {
            done.cut += 1;
            to.write(changed.subarray(0, Math.max(0, changed.length - (passed - fate.cutAt))));
            // What was written so far arrives: a message that ends in the middle.
            setImmediate(both);
          } else if (passed > fate.silentAt) {
            done.halfOpen += 1;
            fate.silentAt = Infinity;
            await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
            both();
          } else to.write(changed);
        });
      });
    };

    const upload = createBodyWatch("PUT ");
    const answer = createBodyWatch("HTTP/1.1 200");
    const beginRequest = () => {
      fate = {
        cutAt: happens("cut") ? passed + 1 + random.below(800) : Infinity,
        silentAt: happens("halfOpen") ? passed + 1 + random.below(800) : Infinity,
        damaged: happens("corrupt"),
      };
      recorded = happens("duplicate") ? Buffer.alloc(0) : undefined;
    };
    pump(client, upstream, (chunk) => {
      if (beginsRequest(chunk)) beginRequest();
      if (recorded !== undefined) {
        recorded = Buffer.concat([recorded, chunk]);
        const request = wholeUpload(recorded);
        if (request === "no") recorded = undefined;
        else if (request !== "notYet") {
          recorded = undefined;
          replay(request);
        }
      }
      return upload(chunk) && fate.damaged && random.chance(0.5) ? flipped(chunk) : chunk;
    });
    pump(upstream, client, (chunk) =>
      answer(chunk) && fate.damaged && isDownload(chunk) ? flipped(chunk) : chunk,
    );
  });

  const flipped = (chunk: Buffer): Buffer => {
    const at = chunk.indexOf("\r\n\r\n");
    const bodyAt = at < 0 ? 0 : at + 4;
    if (bodyAt >= chunk.length) return chunk;
    const copy = Buffer.from(chunk);
    const place = bodyAt + random.below(copy.length - bodyAt);
    copy[place]! ^= 1 << random.below(8);
    done.corrupt += 1;
    return copy;
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    done,
    calm: () => {
      calm = true;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

const beginsRequest = (chunk: Buffer) =>
  /^(PUT|GET|POST) $/.test(chunk.toString("latin1", 0, chunk.indexOf(" ") + 1));

/** Tells of each piece whether it has bytes of a body of a message that begins like this. */
function createBodyWatch(beginning: string): (chunk: Buffer) => boolean {
  let within = false;
  return (chunk) => {
    if (/^(PUT|GET|POST|HTTP\/1\.1) ?/.test(chunk.toString("latin1", 0, 9))) {
      within = chunk.toString("latin1", 0, beginning.length) === beginning;
    }
    return within;
  };
}

/** Only checkpoints: their digest is known, while nothing but TLS protects JSON. */
const isDownload = (chunk: Buffer) =>
  chunk.includes("application/octet-stream") && chunk.includes("\r\n\r\n");

/** The whole request, once it is there, of an upload with its length. */
function wholeUpload(bytes: Buffer): Buffer | "no" | "notYet" {
  const text = bytes.toString("latin1");
  if (!text.startsWith("PUT ".slice(0, text.length))) return "no";
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return "notYet";
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(text) ?? [];
  if (length === undefined) return "no";
  const whole = headEnd + 4 + Number(length);
  return bytes.length < whole ? "notYet" : bytes.subarray(0, whole);
}
