/** An echo server on uWebSockets.js: npm `uwebsockets`, from the folder that BENCH_PEERS names. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { announce, compressed } from "./announce.ts";

/** What is used of its surface; it is not among the dependencies. */
interface Uws {
	readonly SHARED_COMPRESSOR: number;
	App(): UwsApp;
	us_socket_local_port(listening: unknown): number;
}
interface UwsApp {
	ws(path: string, behaviour: object): UwsApp;
	listen(host: string, port: number, listening: (socket: unknown) => void): UwsApp;
}
interface UwsSocket {
	send(message: ArrayBuffer, binary: boolean, compress: boolean): number;
}

const uws = createRequire(join(process.env["BENCH_PEERS"] ?? ".", "package.json"))("uwebsockets") as Uws;
uws
	.App()
	.ws("/*", {
		compression: compressed ? uws.SHARED_COMPRESSOR : 0,
		maxPayloadLength: 16 * 1024 * 1024,
		maxBackpressure: 64 * 1024 * 1024,
		idleTimeout: 0,
		message: (socket: UwsSocket, message: ArrayBuffer, binary: boolean) => {
			socket.send(message, binary, compressed);
		},
	})
	.listen("0.0.0.0", 0, (listening) => announce(uws.us_socket_local_port(listening), globalThis.gc));
