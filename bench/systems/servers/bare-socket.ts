/**
 * The floor: bare `net` sockets, a frame that is built once a message, and a loop that writes it. It believes every
 * request, knows the load client's frames only, and is no model of how to write a server.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { channelsOf, serve } from "./control.ts";

const ACCEPT =
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const channels = new Map<string, Set<Socket>>();
const nothing = (): void => {};

/** The payload is written with a server's header before it. */
function write(channel: string, payload: Uint8Array): void {
	const { length } = payload;
	const header = Buffer.from(length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff]);
	const frame = Buffer.concat([header, payload]);
	for (const socket of channels.get(channel) ?? []) {
		socket.write(frame);
	}
}

/** Text frames of less than 64 KiB with a mask of zero. */
function publishes(socket: Socket, channel: string): void {
	let rest: Buffer = Buffer.alloc(0);
	socket.on("data", (chunk) => {
		const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
		let at = 0;
		while (bytes.length - at >= 8) {
			const short = bytes[at + 1]! & 0x7f;
			const start = at + (short === 126 ? 8 : 6);
			const end = start + (short === 126 ? bytes.readUInt16BE(at + 2) : short);
			if (end > bytes.length) {
				break;
			}
			write(channel, bytes.subarray(start, end));
			at = end;
		}
		rest = Buffer.from(bytes.subarray(at));
	});
}

const server = createServer({ noDelay: true }, (socket) => {
	socket.on("error", nothing);
	socket.once("data", (request) => {
		const [, url = ""] = request.toString("latin1").split(" ", 2);
		const names = channelsOf(url);
		socket.write(ACCEPT);
		if (url.startsWith("/publish")) {
			publishes(socket, names[0] ?? "");
			return;
		}
		// Pongs, which nobody asked for.
		socket.on("data", nothing);
		for (const name of names) {
			channels.set(name, (channels.get(name) ?? new Set()).add(socket));
		}
	});
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
	serve(
		(server.address() as AddressInfo).port,
		(channel, data) => write(channel, Buffer.from(JSON.stringify(data))),
		globalThis.gc,
	),
);
