import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocketServer, WebSocket as WsClient } from "ws";
import { requires } from "../../../test/requires.ts";
import { type CompressionOptions, type Connection, resolveCompression } from "../src/index.ts";
import { acceptSocket, connectWebSocket, type SocketContext, socketHandler } from "../src/node/index.ts";

interface Echoing extends SocketContext {
	connection?: Connection<Echoing>;
}

const cleanUps: (() => void)[] = [];

afterEach(() => {
	for (const cleanUp of cleanUps.splice(0)) {
		cleanUp();
	}
});

const TEXTS = Array.from({ length: 60 }, (_, index) =>
	Array.from({ length: index * 9 }, (__, at) => `order_${(at * index) % 17} `).join(""),
);

/** An echo server of ours; its URL. */
async function echo(options: CompressionOptions): Promise<string> {
	const compression = resolveCompression(options);
	const handler = socketHandler<Echoing>({
		message: (context, data) => context.connection?.sendText(data),
		ping() {},
		pong() {},
		close() {},
	});
	const http = createServer();
	http.on("upgrade", (request, socket, head) => {
		const connection = acceptSocket(
			request,
			socket as Socket,
			head,
			{ context: (own): Echoing => ({ socket: own }), compression },
			handler,
		);
		if (connection !== undefined) {
			connection.context.connection = connection;
		}
		cleanUps.push(() => socket.destroy());
	});
	cleanUps.push(() => http.close());
	await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
	return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

const SETTINGS: readonly (readonly [string, CompressionOptions, object])[] = [
	["with context takeover both ways", { threshold: 0 }, {}],
	["with small windows", { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 }, {}],
	[
		"without context takeover",
		{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
		{ serverNoContextTakeover: true, clientNoContextTakeover: true },
	],
];

describe.each(SETTINGS)("compressed, %s", (_, ours, theirs) => {
	test("ws as the client", async () => {
		const client = new WsClient(await echo(ours), { perMessageDeflate: { threshold: 0, ...theirs } });
		cleanUps.push(() => client.terminate());
		await new Promise((resolve) => client.once("open", resolve));
		expect(client.extensions).toBe("permessage-deflate");
		const echoed: string[] = [];
		const done = new Promise<void>((resolve, reject) => {
			client.once("close", (code) => reject(new Error(`closed with ${code}`)));
			client.on("message", (data) => echoed.push(String(data)) === TEXTS.length && resolve());
		});
		for (const text of TEXTS) {
			client.send(text);
		}
		await done;
		expect(echoed).toEqual(TEXTS);
	});

	test("ws as the server", async () => {
		const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: { threshold: 0, ...theirs } });
		cleanUps.push(() => server.close());
		server.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))));
		await new Promise((resolve) => server.once("listening", resolve));
		const echoed: string[] = [];
		const done = Promise.withResolvers<void>();
		const handler = socketHandler<Echoing>({
			message: (__, data) => echoed.push(Buffer.from(data).toString()) === TEXTS.length && done.resolve(),
			ping() {},
			pong() {},
			close: (__, code) => done.reject(new Error(`closed with ${code}`)),
		});
		const { connection } = await connectWebSocket<Echoing>(
			`ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
			{ context: (socket) => ({ socket }), compression: resolveCompression(ours) },
			handler,
		);
		cleanUps.push(() => connection.context.socket.destroy());
		for (const text of TEXTS) {
			connection.sendText(text);
		}
		await done.promise;
		expect(echoed).toEqual(TEXTS);
	});
});

const interpreter = requires("python3-websockets");
const PROGRAM = `
import asyncio, json, sys
from websockets.client import connect
async def main():
    texts = json.load(sys.stdin)
    async with connect(sys.argv[1], compression="deflate") as ws:
        out = []
        for text in texts:
            await ws.send(text)
            out.append(await ws.recv())
        print(json.dumps([ws.extensions[0].name if ws.extensions else None, out == texts]))
asyncio.run(main())
`;

interpreter.describe("Python's websockets as the client", () => {
	test("talks compressed", async () => {
		const python = spawn(interpreter.path, ["-W", "ignore", "-c", PROGRAM, await echo({ threshold: 0 })]);
		let out = "";
		let failed = "";
		python.stdout.on("data", (chunk: Buffer) => {
			out += String(chunk);
		});
		python.stderr.on("data", (chunk: Buffer) => {
			failed += String(chunk);
		});
		python.stdin.end(JSON.stringify(TEXTS));
		await new Promise((resolve) => python.once("close", resolve));
		expect(failed).toBe("");
		expect(JSON.parse(out)).toEqual(["permessage-deflate", true]);
	});
});
