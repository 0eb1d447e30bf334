/** An echo server on Bun, which is not among the dependencies. */
import { announce, compressed } from "./announce.ts";

/** What is used of its surface. */
interface BunServer {
	readonly port: number;
	upgrade(request: Request): boolean;
}
interface BunSocket {
	send(message: string | Uint8Array, compress?: boolean): number;
}
declare const Bun: {
	serve(options: object): BunServer;
	gc(force: boolean): void;
};

const server = Bun.serve({
	hostname: "0.0.0.0",
	port: 0,
	fetch: (request: Request, self: BunServer) => (self.upgrade(request) ? undefined : new Response("echo")),
	websocket: {
		perMessageDeflate: compressed,
		maxPayloadLength: 16 * 1024 * 1024,
		backpressureLimit: 64 * 1024 * 1024,
		idleTimeout: 0,
		message: (socket: BunSocket, message: string | Uint8Array) => {
			socket.send(message, compressed);
		},
	},
});
announce(server.port, () => Bun.gc(true));
