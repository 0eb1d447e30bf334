/** The server that foreign clients talk to: two kinds of channel, routes, one action, and a page for browsers. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { action, channel, contract } from "@tidewire/contract";
import { createServer } from "@tidewire/server";
import { z } from "zod";

const ORDERS = contract({
	channels: { "order_{orderId}": channel(), "chat_{room}": channel({ history: false }) },
	actions: { contact_driver: action({ input: z.object({ message: z.string() }) }) },
});

export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

export interface Gateway {
	/** "ws://127.0.0.1:12345" */
	readonly url: string;
	/** "http://127.0.0.1:12345", which serves a page with nothing in it at any path. */
	readonly origin: string;
	/** What the driver was told. */
	readonly told: readonly string[];
	readonly connections: number;
	/** Publishes a value as the application would. */
	publish(orderId: string, data: unknown): Promise<string>;
	/** Says goodbye to all clients. */
	close(): Promise<void>;
	stop(): Promise<void>;
}

export async function startGateway(allowedOrigins: readonly string[] = []): Promise<Gateway> {
	const told: string[] = [];
	const tidewire = createServer(ORDERS, {
		may: {
			subscribe: { "order_{orderId}": ({ params }) => params.orderId !== "secret", "chat_{room}": true },
			publish: { "order_{orderId}": true, "chat_{room}": true },
			call: { contact_driver: true },
		},
		routes: {
			"/track?orderId={orderId}": { channels: ["order_{orderId}"] },
			"/rooms/{room}": { channels: ["chat_{room}"], publish: "chat_{room}" },
		},
		actions: { contact_driver: ({ input }) => void told.push(input.message) },
		allowedOrigins,
		limits: { maxMessageBytes: MAX_MESSAGE_BYTES },
	});
	const http = createHttpServer((_request, response) => {
		response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
		response.end("<!doctype html><title>A page that speaks WebSocket</title>");
	});
	tidewire.attach(http).listen(0, "127.0.0.1");
	await once(http, "listening");
	const { port } = http.address() as AddressInfo;
	return {
		url: `ws://127.0.0.1:${port}`,
		origin: `http://127.0.0.1:${port}`,
		told,
		get connections() {
			return tidewire.connections;
		},
		publish: (orderId, data) => tidewire.channel(`order_${orderId}`).publish(data),
		close: () => tidewire.close(),
		stop: async () => {
			await tidewire.close();
			const closed = once(http, "close");
			http.close();
			http.closeAllConnections();
			await closed;
		},
	};
}
