import { createServer as createHttp, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { createServer } from "../src/server.ts";
import { afterwards, enveloped, OPEN, plain, Raw, refusal, request } from "./client.ts";

interface Application {
	readonly http: Server;
	readonly url: string;
	/** Paths that the application's own handler was asked for. */
	readonly asked: string[];
}

async function application(prepare: (http: Server) => void): Promise<Application> {
	const asked: string[] = [];
	const http = createHttp((request: IncomingMessage, response) => {
		asked.push(request.url ?? "");
		response.end("the application's own");
	});
	prepare(http);
	afterwards(() => {
		http.closeAllConnections();
		http.close();
	});
	await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
	return { http, url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`, asked };
}

function tidewire(path?: string) {
	const server = createServer(undefined, { ...OPEN, ...(path === undefined ? {} : { path }) });
	afterwards(() => server.close());
	return server;
}

/** Node 24.9 and newer let a server say which upgrades it takes. */
const asksFirst = "shouldUpgradeCallback" in createHttp();

describe("attached to an application's HTTP server", () => {
	it("serves its own path and leaves requests to the application, its own path's plain GET included", async () => {
		const { url, asked } = await application((http) => tidewire().attach(http));
		await enveloped(`${url}/connect`);
		for (const path of ["/", "/connect"]) {
			expect(await (await fetch(`${url.replace("ws", "http")}${path}`)).text()).toBe("the application's own");
		}
		expect(asked).toEqual(["/", "/connect"]);
	});

	it.runIf(asksFirst)("S6: leaves requests with an Upgrade that nobody knows to the application", async () => {
		const { url, asked } = await application((http) => tidewire().attach(http));
		const raw = new Raw(url).send(request("/page", { Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings, close" }));
		expect(await raw.end()).toMatch(/^HTTP\/1\.1 200 [\s\S]*the application's own$/);
		const webSocket = new Raw(url).send(request("/page", { Connection: "Upgrade, close" }));
		expect(await webSocket.end()).toMatch(/^HTTP\/1\.1 200 /);
		expect(asked).toEqual(["/page", "/page"]);
	});

	it("answers a WebSocket upgrade of a path that is nobody's, so that no client waits", async () => {
		const { url } = await application((http) => tidewire().attach(http));
		const raw = new Raw(url).send(request("/elsewhere", { Connection: "Upgrade, close" }));
		expect(await raw.end()).toMatch(asksFirst ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 404 /);
	});

	it.each(["before", "after"])("lives beside ws with { server, path } that came %s it", async (when) => {
		const { url, http } = await application(() => {});
		const own = () => {
			const other = new WebSocketServer({ server: http, path: "/other" });
			other.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data.toString()}`)));
			afterwards(() => other.close());
		};
		if (when === "before") {
			own();
		}
		const server = tidewire();
		server.attach(http);
		if (when === "after") {
			own();
		}
		const ours = await plain(`${url}/connect?channel=a`);
		const theirs = await plain(`${url}/other`);
		theirs.send("hello");
		expect(await theirs.frame()).toBe("echo hello");
		await server.channel("a").publish(1);
		expect(await ours.frame()).toBe("1");
		// What is neither's is the other owner's to refuse.
		expect(await refusal(`${url}/neither`)).toMatchObject({ status: 400 });
	});

	it("lives beside another Tidewire on another path", async () => {
		const { url, http } = await application(() => {});
		const [one, two] = [tidewire("/one"), tidewire("/two")];
		one.attach(http);
		two.attach(http);
		const clients = [await plain(`${url}/one?channel=a`), await plain(`${url}/two?channel=a`)];
		await one.channel("a").publish(1);
		await two.channel("a").publish(2);
		expect([await clients[0]!.frame(), await clients[1]!.frame()]).toEqual(["1", "2"]);
		await two.close();
		await plain(`${url}/one?channel=a`);
	});

	it("closed, gives everything back, and leaves the HTTP server open", async () => {
		const { url, http, asked } = await application(() => {});
		const listeners = http.listenerCount("upgrade");
		const server = createServer(undefined, OPEN);
		server.attach(http);
		const client = await plain(`${url}/connect`);
		await server.close();
		expect(await client.closed).toMatchObject({ code: 1012 });
		expect(http.listenerCount("upgrade")).toBe(listeners);
		const raw = new Raw(url).send(request("/connect", { Connection: "Upgrade, close" }));
		expect(await raw.end()).toMatch(/^HTTP\/1\.1 200 /);
		expect(asked).toEqual(["/connect"]);
	});

	it("is not cut by the application's own idle time-out for requests", async () => {
		const { url, http } = await application((each) => {
			each.setTimeout(30);
			tidewire().attach(each);
		});
		const sockets: { timeout?: number }[] = [];
		http.on("connection", (socket) => sockets.push(socket));
		await plain(`${url}/connect`);
		expect(sockets.map(({ timeout }) => timeout)).toEqual([0]);
	});
});
