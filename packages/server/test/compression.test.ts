import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createServer } from "../src/index.ts";

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) {
		await cleanUp();
	}
});

/** A server, and a proxy before it that counts the bytes it sends. */
async function serve(
	compression: boolean | object,
): Promise<{ readonly url: string; readonly sent: () => number; readonly server: ReturnType<typeof createServer> }> {
	const server = createServer(undefined, { dev: true, compression });
	cleanUps.push(() => server.close());
	const { port } = await server.listen({ port: 0 });
	let bytes = 0;
	const proxy = createTcpServer((socket) => {
		const inner = connectTcp(port, "127.0.0.1");
		socket.on("error", () => inner.destroy()).pipe(inner);
		inner
			.on("error", () => socket.destroy())
			.on("data", (chunk) => {
				bytes += chunk.length;
			})
			.pipe(socket);
	});
	cleanUps.push(() => proxy.close());
	await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
	return { url: `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}/connect`, sent: () => bytes, server };
}

async function subscribe(
	url: string,
	options: object = {},
): Promise<{ readonly socket: WebSocket; readonly got: (text: string) => Promise<string> }> {
	const socket = new WebSocket(url, ["tidewire.v1.json"], options);
	cleanUps.push(() => socket.terminate());
	const messages: string[] = [];
	let wake = (): void => {};
	socket.on("message", (data) => {
		messages.push(String(data));
		wake();
	});
	const got = async (text: string): Promise<string> => {
		for (;;) {
			const found = messages.find((each) => each.includes(text));
			if (found !== undefined) {
				return found;
			}
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
	};
	await new Promise((resolve) => socket.once("open", resolve));
	socket.send('{"action":"subscribe","channel":"c","id":1}');
	await got('"ack":1');
	return { socket, got };
}

const TEXT = "the same words again and ".repeat(100);

test("a message is compressed for those that offered it, with or without a smaller window, and plain for the others", async () => {
	const { url, server } = await serve(true);
	const clients = await Promise.all([
		subscribe(url),
		subscribe(url),
		subscribe(url, { perMessageDeflate: { serverMaxWindowBits: 9 } }),
		subscribe(url, { perMessageDeflate: false }),
	]);
	expect(clients.map(({ socket }) => socket.extensions)).toEqual([
		"permessage-deflate",
		"permessage-deflate",
		"permessage-deflate",
		"",
	]);
	await server.channel("c").publish({ text: TEXT });
	for (const { got } of clients) {
		expect(await got(TEXT)).toContain('"channel":"c"');
	}
});

test("it saves what it promises; without the option nothing is negotiated", async () => {
	const sent: number[] = [];
	for (const compression of [true, false]) {
		const running = await serve(compression);
		const client = await subscribe(running.url);
		expect(client.socket.extensions).toBe(compression ? "permessage-deflate" : "");
		await running.server.channel("c").publish({ text: TEXT });
		await client.got(TEXT);
		sent.push(running.sent());
	}
	expect(sent[0]! * 2).toBeLessThan(sent[1]!);
});

test("S14: maxMessageBytes counts inflated bytes", async () => {
	const server = createServer(undefined, { dev: true, compression: true, limits: { maxMessageBytes: 10_000 } });
	cleanUps.push(() => server.close());
	const { url } = await server.listen({ port: 0 });
	const socket = new WebSocket(`${url.replace("http", "ws")}/connect`, ["tidewire.v1.json"], {
		perMessageDeflate: { threshold: 0 },
	});
	cleanUps.push(() => socket.terminate());
	await new Promise((resolve) => socket.once("open", resolve));
	const closed = new Promise((resolve) => socket.once("close", resolve));
	socket.send(" ".repeat(10_001));
	expect(await closed).toBe(1009);
});

test("an option that cannot be meant is refused", () => {
	expect(() => createServer(undefined, { compression: { level: 10 } })).toThrow(
		expect.objectContaining({ code: "bad_option" }),
	);
});
