/** Bun with its own publish and subscribe. Not among the dependencies: `bench/peers`. */
import { channelsOf, serve } from "./control.ts";

/** What is used of its surface. */
interface BunServer {
	readonly port: number;
	upgrade(request: Request, options: { readonly data: Data }): boolean;
	publish(topic: string, message: string | Uint8Array): number;
}
interface Data {
	readonly publishes: boolean;
	readonly channels: readonly string[];
}
interface BunSocket {
	readonly data: Data;
	subscribe(topic: string): void;
}
declare const Bun: {
	serve(options: object): BunServer;
	gc(force: boolean): void;
};

const server = Bun.serve({
	hostname: "127.0.0.1",
	port: 0,
	fetch: (request: Request, self: BunServer) => {
		const data = { publishes: request.url.includes("/publish?"), channels: channelsOf(request.url) };
		return self.upgrade(request, { data }) ? undefined : new Response("for WebSocket clients only");
	},
	websocket: {
		idleTimeout: 120,
		open: (socket: BunSocket) => {
			for (const channel of socket.data.publishes ? [] : socket.data.channels) {
				socket.subscribe(channel);
			}
		},
		message: (socket: BunSocket, message: string | Uint8Array) => {
			server.publish(socket.data.channels[0] ?? "", message);
		},
	},
});
serve(
	server.port,
	(channel, data) => void server.publish(channel, JSON.stringify(data)),
	() => Bun.gc(true),
);
