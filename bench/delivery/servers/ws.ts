/** The least that does the same with `ws`: a set of clients per channel, and a loop that sends. */
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const channels = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (client, { url = "" }) => {
	const [path, name = ""] = url.split("?channel=");
	const subscribers = channels.get(name) ?? new Set();
	channels.set(name, subscribers);
	if (path === "/subscribe") {
		subscribers.add(client);
		client.on("close", () => subscribers.delete(client));
		return;
	}
	client.on("message", (data, isBinary) => {
		for (const subscriber of subscribers) {
			subscriber.send(data, { binary: isBinary });
		}
	});
});
server.on("listening", () => {
	process.stdin.on("end", () => process.exit()).resume();
	process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
