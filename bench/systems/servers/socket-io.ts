/** Socket.IO with its defaults, WebSocket only: a room per channel. Not among the dependencies: `bench/peers`. */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { serve } from "./control.ts";

/** What is used of its surface. */
interface SocketIo {
	readonly Server: new (http: object, options: object) => Io;
}
interface Io {
	on(event: "connection", listener: (socket: IoSocket) => void): void;
	to(room: string): { emit(event: string, data: unknown): void };
}
interface IoSocket {
	readonly handshake: { readonly query: { readonly channels?: string } };
	join(room: string): void;
	on(event: "publish", listener: (channel: string, data: unknown) => void): void;
}

const { Server } = createRequire(join(import.meta.dirname, "../../peers/package.json"))("socket.io") as SocketIo;
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
io.on("connection", (socket) => {
	for (const channel of socket.handshake.query.channels?.split(",") ?? []) {
		socket.join(channel);
	}
	socket.on("publish", (channel, data) => io.to(channel).emit("message", data));
});
http.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
	serve((http.address() as AddressInfo).port, (channel, data) => io.to(channel).emit("message", data), globalThis.gc),
);
