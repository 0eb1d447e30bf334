/** One port for an application, Tidewire and whoever else takes upgrades: each keeps what is its own. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { channel, contract } from "@tidewire/contract";
import { createServer, type TidewireServer } from "@tidewire/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { APPLICATIONS, type Started } from "./frameworks.ts";

const ORDERS = contract({ channels: { "order_{orderId}": channel() } });
const guests: WebSocket[] = [];

describe.each(APPLICATIONS)("attached to $name", ({ start }) => {
	let app: Started;
	let tidewire: TidewireServer<typeof ORDERS>;
	let at: string;

	beforeEach(async () => {
		app = await start();
		at = `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
		tidewire = createServer(ORDERS, {
			may: { subscribe: { "order_{orderId}": true } },
		});
		tidewire.attach(app.server);
	});
	afterEach(async () => {
		// Before the server: it waits for upgraded sockets, which are nobody's but the guests'.
		for (const guest of guests.splice(0)) {
			guest.terminate();
		}
		await tidewire.close();
		await app.stop();
	});

	it("leaves the application's requests to it", async () => {
		await itsRoutesWork(at);
	});

	it("leaves a request without upgrade to the application, also on its own path", async () => {
		expect((await fetch(`http://${at}/connect`)).status).toBe(404);
	});

	it("serves its clients, and the application between their messages", async () => {
		const customer = await open(`ws://${at}/connect?channel=order_123`);
		await tidewire.channel("order_123").publish({ lat: 1 });
		expect(await customer.next()).toBe(`{"lat":1}`);
		await itsRoutesWork(at);
		await tidewire.channel("order_123").publish({ lat: 2 });
		expect(await customer.next()).toBe(`{"lat":2}`);
	});

	it.each([
		["which asks for its path", "noServer"],
		["which was given the server", "server"],
	] as const)("leaves a ws server its upgrades, %s", async (_, way) => {
		attachEcho(app, way);
		const guest = await open(`ws://${at}/other`);
		const customer = await open(`ws://${at}/connect?channel=order_123`);
		guest.socket.send("hello");
		expect(await guest.next()).toBe("echo: hello");
		await tidewire.channel("order_123").publish({ lat: 1 });
		expect(await customer.next()).toBe(`{"lat":1}`);
	});

	it("answers an upgrade that nobody knows as the application does without Tidewire", async () => {
		const socket = new WebSocket(`ws://${at}/nowhere`);
		const [, response] = (await once(socket, "unexpected-response")) as [unknown, { readonly statusCode: number }];
		socket.on("error", () => {}).terminate();
		expect(response.statusCode).toBe(404);
	});

	it("is closed: its clients are told, the application and other owners of upgrades serve on", async () => {
		attachEcho(app, "noServer");
		const guest = await open(`ws://${at}/other`);
		const customer = await open(`ws://${at}/connect?channel=order_123`);
		const closed = once(customer.socket, "close");
		await tidewire.close();
		expect((await closed)[0]).toBe(1012);
		await itsRoutesWork(at);
		guest.socket.send("still there?");
		expect(await guest.next()).toBe("echo: still there?");
		await open(`ws://${at}/other`);
	});

	it("is closed: its path is the application's again", async () => {
		await tidewire.close();
		const socket = new WebSocket(`ws://${at}/connect?channel=order_123`);
		const [, response] = (await once(socket, "unexpected-response")) as [unknown, { readonly statusCode: number }];
		socket.on("error", () => {}).terminate();
		expect(response.statusCode).toBe(404);
	});
});

async function itsRoutesWork(at: string): Promise<void> {
	const hello = await fetch(`http://${at}/hello`);
	expect([hello.status, await hello.text()]).toEqual([200, "hello"]);
	const body = JSON.stringify({ text: "x".repeat(300_000) });
	const echo = await fetch(`http://${at}/echo`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body,
	});
	expect([echo.status, (await echo.text()) === body]).toEqual([200, true]);
	expect((await fetch(`http://${at}/nowhere`)).status).toBe(404);
}

interface Guest {
	readonly socket: WebSocket;
	/** Its next text message. */
	next(): Promise<string>;
}

/** Connects with the npm package `ws`. */
async function open(url: string): Promise<Guest> {
	const socket = new WebSocket(url);
	guests.push(socket);
	const messages: string[] = [];
	let arrived = (): void => {};
	socket.on("message", (data: Buffer) => {
		messages.push(data.toString("utf8"));
		arrived();
	});
	await once(socket, "open");
	return {
		socket,
		next: async () => {
			while (messages.length === 0) {
				await new Promise<void>((resolve) => {
					arrived = resolve;
				});
			}
			return messages.shift()!;
		},
	};
}

/** Somebody else's WebSocket server at `/other`, in the two ways that `ws` knows to share a port. */
function attachEcho({ server }: Started, way: "noServer" | "server"): void {
	const other =
		way === "server" ? new WebSocketServer({ server, path: "/other" }) : new WebSocketServer({ noServer: true });
	if (way === "noServer") {
		server.on("upgrade", (request, socket, head) => {
			if (request.url === "/other") {
				other.handleUpgrade(request, socket, head, (connection) => other.emit("connection", connection, request));
			}
		});
	}
	other.on("connection", (connection) => {
		connection.on("message", (data: Buffer) => connection.send(`echo: ${data.toString("utf8")}`));
	});
}
