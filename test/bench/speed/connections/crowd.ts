/**
 * A process full of clients that speak just enough WebSocket (by `ws`) and socket.io (by hand) to check in and
 * to hear of their places, so that what is measured is the server.
 */

import { randomBytes } from "node:crypto";

import { PROTOCOL_VERSION, SOCKET_PATH } from "@tributary/protocol";
import { WebSocket } from "ws";

import type { CrowdAnswer, CrowdOrder } from "./messages.ts";

/** Packets of engine.io and socket.io that matter here (their protocols 4 and 5), as they begin. */
const PING = "2";
const PONG = "3";
const CONNECT = "40";
const REFUSED = "44";
const EVENT = "42";
const ACK = "43";

/** Handshakes under way at the same time: more would only queue up at the listener. */
const AT_ONCE = 64;

interface Member {
  readonly socket: WebSocket;
  heard: (text: string) => void;
}

const members: Member[] = [];
/** Members that were told of their place, by task. */
const told = new Map<string, number>();
let onAssigned = (): void => undefined;
let bytes = 0;
let lastAssigned = 0n;
const now = () => process.hrtime.bigint();

function connectOne(url: string, source: string): Promise<Member> {
  const address = `${url.replace("http", "ws")}${SOCKET_PATH}/?EIO=4&transport=websocket`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
      localAddress: source,
    });
    const member: Member = { socket, heard: () => undefined };
    socket.on("error", reject);
    socket.on("message", (data: Buffer) => {
      bytes += data.length;
      const text = data.toString("latin1");
      if (text === PING) socket.send(PONG);
      else if (text.startsWith("0")) {
        const clientKey = randomBytes(32).toString("base64url");
        socket.send(`${CONNECT}${JSON.stringify({ clientKey })}`);
      } else if (text.startsWith(CONNECT)) resolve(member);
      else if (text.startsWith(REFUSED)) reject(new Error(text));
      else if (text.startsWith(`${EVENT}["round:assigned"`)) {
        const [, taskId = ""] = /"taskId":"([^"]+)"/.exec(text) ?? [];
        told.set(taskId, (told.get(taskId) ?? 0) + 1);
        lastAssigned = now();
        onAssigned();
      } else if (text.startsWith(ACK)) member.heard(text);
    });
  });
}

async function connect(order: Extract<CrowdOrder, { do: "connect" }>): Promise<number> {
  let failures = 0;
  let next = 0;
  const worker = async () => {
    while (next < order.clients) {
      const source = `127.0.0.${order.firstSource + Math.floor(next++ / order.perSource)}`;
      await connectOne(order.url, source).then(
        (member) => members.push(member),
        (error: unknown) => {
          failures += 1;
          process.stderr.write(`${String(error)}\n`);
        },
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}

async function checkIn(taskId: string): Promise<number> {
  let failures = 0;
  const message = JSON.stringify(["checkin", { protocolVersion: PROTOCOL_VERSION, taskId }]);
  await Promise.all(
    members.map(
      (member) =>
        new Promise<void>((resolve) => {
          member.heard = (text) => {
            if (!text.includes('"ok":true')) failures += 1;
            resolve();
          };
          member.socket.send(`${EVENT}0${message}`);
        }),
    ),
  );
  return failures;
}

async function assigned(taskId: string): Promise<void> {
  await new Promise<void>((resolve) => {
    onAssigned = () => {
      if (told.get(taskId) === members.length) resolve();
    };
    onAssigned();
  });
  onAssigned = () => undefined;
}

async function carryOut(order: CrowdOrder): Promise<CrowdAnswer> {
  bytes = 0;
  const beganNs = String(now());
  let failures = 0;
  if (order.do === "connect") failures = await connect(order);
  else if (order.do === "checkIn") failures = await checkIn(order.taskId);
  else await assigned(order.taskId);
  const doneNs = String(order.do === "assigned" ? lastAssigned : now());
  return { clients: members.length, failures, beganNs, doneNs, bytes };
}

process.on("message", (order: CrowdOrder) => {
  void carryOut(order).then((answer) => process.send?.(answer));
});
process.on("disconnect", () => process.exit());
