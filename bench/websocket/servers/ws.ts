/** An echo server on `ws`, as its README shows it. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { announce, compressed, THRESHOLD } from "./announce.ts";

const server = createServer();
// zlib's level as ours is by default, so that both do the same work.
const perMessageDeflate = compressed ? { threshold: THRESHOLD, zlibDeflateOptions: { level: 1 } } : false;
const sockets = new WebSocketServer({ server, perMessageDeflate, maxPayload: 16 * 1024 * 1024 });
sockets.on("connection", (socket) => {
	socket.on("message", (data, binary) => socket.send(data, { binary }));
	socket.on("error", () => {});
});
server.listen({ port: 0, host: "0.0.0.0", backlog: 4_096 }, () =>
	announce((server.address() as AddressInfo).port, globalThis.gc),
);
