/** uWebSockets.js with its own publish and subscribe. Not among the dependencies: `bench/peers`. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { channelsOf, serve, settings } from "./control.ts";

/** What is used of its surface. */
interface Uws {
	readonly SHARED_COMPRESSOR: number;
	App(): UwsApp;
	us_socket_local_port(listening: unknown): number;
}
interface UwsApp {
	ws(path: string, behaviour: object): UwsApp;
	publish(topic: string, message: ArrayBuffer | string, binary: boolean, compress: boolean): void;
	listen(host: string, port: number, listening: (socket: unknown) => void): UwsApp;
}
interface UwsRequest {
	getQuery(): string;
	getHeader(name: string): string;
}
interface UwsResponse {
	upgrade(user: User, key: string, protocol: string, extensions: string, context: unknown): void;
}
interface User {
	readonly channels: readonly string[];
}
interface UwsSocket {
	getUserData(): User;
	subscribe(topic: string): void;
}

const uws = createRequire(join(settings.peers ?? ".", "package.json"))("uwebsockets") as Uws;
const compress = settings.compression ?? false;
const common = {
	compression: compress ? uws.SHARED_COMPRESSOR : 0,
	idleTimeout: 120,
	maxBackpressure: 64 * 1024 * 1024,
	upgrade: (response: UwsResponse, request: UwsRequest, context: unknown) =>
		response.upgrade(
			{ channels: channelsOf(`?${request.getQuery()}`) },
			request.getHeader("sec-websocket-key"),
			request.getHeader("sec-websocket-protocol"),
			request.getHeader("sec-websocket-extensions"),
			context,
		),
};
const app = uws
	.App()
	.ws("/subscribe", {
		...common,
		open: (socket: UwsSocket) => {
			for (const channel of socket.getUserData().channels) {
				socket.subscribe(channel);
			}
		},
	})
	.ws("/publish", {
		...common,
		message: (socket: UwsSocket, message: ArrayBuffer) => {
			app.publish(socket.getUserData().channels[0] ?? "", message, false, compress);
		},
	})
	.listen("127.0.0.1", 0, (listening) =>
		serve(
			uws.us_socket_local_port(listening),
			(channel, data) => app.publish(channel, JSON.stringify(data), false, compress),
			globalThis.gc,
		),
	);
