import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FaultProxy, Link } from "../../src/verify/fault/proxy.ts";
import { seeded } from "../../src/verify/fault/random.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

interface Pair {
	readonly server: Server;
	readonly proxy: FaultProxy;
	readonly client: Socket;
	/** The server's end of the client's connection. */
	readonly peer: Socket;
	readonly link: Link;
}

async function open(): Promise<Pair> {
	const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
	cleanups.push(() => server.close());
	server.on("connection", (socket) => socket.on("error", () => {}));
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const proxy = await FaultProxy.open({ host: "127.0.0.1", port, random: seeded(1) });
	cleanups.push(() => proxy.close());
	const accepted = once(server, "connection") as Promise<[Socket]>;
	const client = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
	cleanups.push(() => client.destroy());
	const [peer] = await accepted;
	cleanups.push(() => peer.destroy());
	const link = proxy.link(client.localPort!)!;
	return { server, proxy, client, peer, link };
}

/** The two ends of a connection. */
async function pair(): Promise<readonly [Socket, Socket]> {
	const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
	await once(server, "listening");
	const accepted = once(server, "connection") as Promise<[Socket]>;
	const near = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
	const [far] = await accepted;
	server.close();
	for (const socket of [near, far]) {
		socket.on("error", () => {});
		cleanups.push(() => socket.destroy());
	}
	return [near, far];
}

/** Reads what comes, until it is closed; a reset is one way to be. */
function closed(socket: Socket): Promise<void> {
	return new Promise((resolve) => void socket.resume().on("close", () => resolve()));
}

/** The next so many bytes. */
async function read(socket: Socket, length: number): Promise<string> {
	let text = "";
	while (text.length < length) {
		const [chunk] = (await once(socket, "data")) as [Buffer];
		text += chunk.toString("latin1");
	}
	return text;
}

describe("the fault proxy", () => {
	it("passes bytes both ways, and the end of each half", async () => {
		const { client, peer } = await open();
		client.end("there");
		expect(await read(peer, 5)).toBe("there");
		if (!peer.readableEnded) {
			await once(peer, "end");
		}
		peer.end("and back");
		expect(await read(client, 8)).toBe("and back");
		await once(client, "end");
	});

	it("cuts: both ends are closed, and the link is gone", async () => {
		const { proxy, client, peer, link } = await open();
		const both = Promise.all([closed(client), closed(peer)]);
		link.cut();
		await both;
		expect(proxy.links).toEqual([]);
	});

	it("cuts while an end is on its way (a server that refuses the handshake and hangs up)", async () => {
		const [client] = await pair();
		const [upstream, server] = await pair();
		const link = new Link(client, upstream, seeded(1));
		upstream.on("end", () => link.cut());
		const both = Promise.all([once(client, "close"), once(upstream, "close")]);
		server.end("HTTP/1.1 404 Not Found\r\n\r\n");
		await both;
	});

	it("takes a connection down with the server's end", async () => {
		const { client, peer } = await open();
		peer.resetAndDestroy();
		await closed(client);
	});

	it("stalls one way and not the other; what was held comes first afterwards", async () => {
		const { client, peer, link } = await open();
		link.toClient.stall();
		peer.write("held,");
		client.write("through");
		expect(await read(peer, 7)).toBe("through");
		expect(client.bytesRead).toBe(0);
		link.heal();
		peer.write("later");
		expect(await read(client, 10)).toBe("held,later");
	});

	it("a stalled direction holds the sender up, and little itself (a reader that never reads)", async () => {
		const { peer, link } = await open();
		link.toClient.stall();
		const block = Buffer.alloc(1024 * 1024);
		let blocked = false;
		// The kernel's buffers take some megabytes, and no more.
		for (let sent = 0; sent < 64 && !blocked; sent++) {
			blocked = !peer.write(block) && peer.writableLength > 16 * block.length;
		}
		expect(blocked).toBe(true);
	});

	it("splits bytes into small pieces, and loses none", async () => {
		const { client, peer, link } = await open();
		link.toServer.disturb({ pieceBytes: 3 });
		const sent = Array.from({ length: 200 }, (_, index) => String.fromCharCode(33 + (index % 90))).join("");
		const pieces: number[] = [];
		peer.on("data", (chunk) => pieces.push(chunk.length));
		client.write(sent);
		expect(await read(peer, sent.length)).toBe(sent);
		expect(pieces.length).toBeGreaterThan(10);
	});

	it("delays with jitter, and keeps the order", async () => {
		const { client, peer, link } = await open();
		link.toServer.disturb({ delayMs: 2, jitterMs: 5, pieceBytes: 2 });
		const sent = "abcdefghijklmnopqrstuvwxyz";
		for (const letter of sent) {
			client.write(letter);
		}
		expect(await read(peer, sent.length)).toBe(sent);
	});

	it("disturbs what connects later too, until it is healed", async () => {
		const { server, proxy, client } = await open();
		const seen: number[] = [];
		proxy.disturbAll((link) => seen.push(link.clientPort));
		const arrived = once(server, "connection");
		const second = connect({ port: proxy.port, host: "127.0.0.1" }).on("error", () => {});
		cleanups.push(() => second.destroy());
		await arrived;
		expect(seen).toEqual([client.localPort, second.localPort]);
	});
});
