/** The least that does the same with `ws`: a set of clients per channel, and a loop that sends. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { channelsOf, serve, settings } from "./control.ts";

const channels = new Map<string, Set<WebSocket>>();
const http = createServer();
// The threshold and zlib's level as ours are by default, so that both do the same work.
const perMessageDeflate = settings.compression === true ? { threshold: 64, zlibDeflateOptions: { level: 1 } } : false;
const server = new WebSocketServer({ server: http, perMessageDeflate });

function send(channel: string, data: Buffer): void {
	for (const client of channels.get(channel) ?? []) {
		client.send(data, { binary: false });
	}
}

server.on("connection", (client, { url = "" }) => {
	const names = channelsOf(url);
	client.on("error", () => {});
	if (url.startsWith("/publish")) {
		client.on("message", (data: Buffer) => send(names[0] ?? "", data));
		return;
	}
	for (const name of names) {
		const subscribers = channels.get(name) ?? new Set();
		channels.set(name, subscribers.add(client));
	}
	client.on("close", () => {
		for (const name of names) {
			channels.get(name)?.delete(client);
		}
	});
});
http.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
	serve(
		(http.address() as AddressInfo).port,
		(channel, data) => send(channel, Buffer.from(JSON.stringify(data))),
		globalThis.gc,
	),
);
