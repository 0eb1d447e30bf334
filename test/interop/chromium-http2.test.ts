/**
 * Chromium over TLS: it opens WebSockets as streams of HTTP/2 (RFC 8441) where a session to the page's server is there,
 * and by HTTP/1.1 where none is.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer, type TidewireServer } from "@tidewire/server";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { requires } from "../requires.ts";

const FLAGS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-background-networking",
	"--disable-component-update",
	"--ignore-certificate-errors",
];
const CERTIFICATE = { cert: readFixture("cert"), key: readFixture("key") };

function readFixture(part: "cert" | "key"): string {
	const folder = join(import.meta.dirname, "../../packages/server/test/fixtures/tls");
	return readFileSync(join(folder, `test-only-first.${part}.pem`), "utf8");
}

interface Gateway {
	readonly tidewire: TidewireServer;
	/** "127.0.0.1:1234" */
	readonly host: string;
	/** The sessions in which WebSockets were asked for, once for each. */
	readonly asked: readonly Http2Session[];
	/** All connections of TCP so far. */
	readonly sockets: () => number;
	stop(): Promise<void>;
}

const OPTIONS = {
	may: {
		subscribe: { "*": ({ channel }: { readonly channel: string }) => channel !== "order_secret" },
		publish: { "*": true },
	},
	limits: { maxMessageBytes: 4 * 1024 * 1024 },
	compression: true,
} as const;

/** One server for the page and for its WebSockets. */
async function startGateway(allowedOrigins: "*" | readonly string[] = []): Promise<Gateway> {
	const http = createSecureServer({ ...CERTIFICATE, allowHTTP1: true }, (_request, response) => {
		response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
		response.end("<!doctype html><link rel=icon href='data:,'><title>A page by HTTP/2</title>");
	});
	const tidewire = createServer(undefined, { ...OPTIONS, allowedOrigins });
	tidewire.attach(http);
	const asked: Http2Session[] = [];
	let sockets = 0;
	const { emit } = http;
	// Before Tidewire, which takes its streams from all other listeners.
	http.emit = (event: string, ...details: readonly unknown[]): boolean => {
		if (event === "stream") {
			const [stream, headers] = details as readonly [ServerHttp2Stream, IncomingHttpHeaders];
			if (headers[":protocol"] === "websocket" && stream.session !== undefined) {
				asked.push(stream.session);
			}
		}
		return Reflect.apply(emit, http, [event, ...details]);
	};
	http.on("connection", () => sockets++);
	http.listen(0, "127.0.0.1");
	await once(http, "listening");
	return {
		tidewire,
		host: `127.0.0.1:${(http.address() as AddressInfo).port}`,
		asked,
		sockets: () => sockets,
		stop: async () => {
			await tidewire.close();
			const closed = once(http, "close");
			http.close();
			await closed;
		},
	};
}

/** What the page's functions are; they run there. */
interface PageScope {
	sockets: { readonly socket: WebSocket; readonly received: string[]; wake: () => void }[];
}

/** Opens a WebSocket in the page. Its number, or how it was closed instead. */
function open(page: Page, url: string, protocol = ""): Promise<number | string> {
	return page.evaluate(
		([target, offered]) => {
			const scope = globalThis as unknown as PageScope;
			scope.sockets ??= [];
			const socket = offered === "" ? new WebSocket(target!) : new WebSocket(target!, offered);
			const entry = { socket, received: [] as string[], wake: () => {} };
			socket.onmessage = ({ data }: MessageEvent<string>) => {
				entry.received.push(data);
				entry.wake();
			};
			return new Promise<number | string>((resolve) => {
				socket.onopen = () => resolve(scope.sockets.push(entry) - 1);
				socket.onclose = ({ code, wasClean }) => {
					const words = `closed with ${code}${wasClean ? ", cleanly" : ""}`;
					resolve(words);
					entry.received.push(words);
					entry.wake();
				};
			});
		},
		[url, protocol],
	);
}

function send(page: Page, socket: number | string, text: string): Promise<void> {
	return page.evaluate(
		([index, message]) => (globalThis as unknown as PageScope).sockets[Number(index)]!.socket.send(String(message)),
		[socket, text],
	);
}

/** The next message, or how the socket was closed. */
function next(page: Page, socket: number | string): Promise<string> {
	return page.evaluate(async (index) => {
		const entry = (globalThis as unknown as PageScope).sockets[Number(index)]!;
		while (entry.received.length === 0) {
			await new Promise<void>((resolve) => {
				entry.wake = resolve;
			});
		}
		return entry.received.shift()!;
	}, socket);
}

function close(page: Page, socket: number | string, code: number): Promise<void> {
	return page.evaluate(
		([index, why]) => (globalThis as unknown as PageScope).sockets[Number(index)]!.socket.close(Number(why)),
		[socket, code],
	);
}

const browserProgram = requires("chromium");

browserProgram.describe("Chromium over TLS", () => {
	let browser: Browser;
	let gateway: Gateway;
	let page: Page;
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath: browserProgram.path, args: FLAGS });
	});
	afterAll(() => browser?.close());
	beforeEach(async () => {
		gateway = await startGateway();
		// A context of its own has no sessions of others.
		const context = await browser.newContext({ ignoreHTTPSErrors: true });
		page = await context.newPage();
	});
	afterEach(async () => {
		await page.context().close();
		await gateway.stop();
	});

	it("two WebSockets of a page use the page's own connection, and talk plain and enveloped", async () => {
		await page.goto(`https://${gateway.host}/`);
		const customer = await open(page, `wss://${gateway.host}/connect?channel=order_123`);
		const driver = await open(page, `wss://${gateway.host}/connect`, "tidewire.v1.json");
		expect([customer, driver]).toEqual([0, 1]);
		expect(gateway.tidewire.connections).toBe(2);
		expect(gateway.asked).toHaveLength(2);
		expect(new Set(gateway.asked).size).toBe(1);
		expect(gateway.sockets()).toBe(1);

		expect(JSON.parse(await next(page, driver))).toMatchObject({ hello: { version: 1 } });
		await send(
			page,
			driver,
			`{"id":1,"action":"publish","channel":"order_123","data":{"lat":40.7128,"text":"Grüße 🚗"}}`,
		);
		expect(JSON.parse(await next(page, driver))).toMatchObject({ ack: 1 });
		expect(await next(page, customer)).toBe(`{"lat":40.7128,"text":"Grüße 🚗"}`);

		const large = "é".repeat(700_000);
		await send(page, driver, `{"id":2,"action":"publish","channel":"order_123","data":"${large}"}`);
		expect((await next(page, customer)) === `"${large}"`).toBe(true);

		await close(page, customer, 3001);
		expect(await next(page, customer)).toBe("closed with 3001, cleanly");
		expect(gateway.tidewire.connections).toBe(1);
		await next(page, driver);
		await send(page, driver, `{"id":3,"action":"ping"}`);
		expect(JSON.parse(await next(page, driver))).toMatchObject({ ack: 3 });
	});

	it("is refused what it may not have, and goes on in the same session", async () => {
		await page.goto(`https://${gateway.host}/`);
		expect(await open(page, `wss://${gateway.host}/connect?channel=order_secret`)).toBe("closed with 1006");
		expect(await open(page, `wss://${gateway.host}/connect`, "soap")).toBe("closed with 1006");
		expect(await open(page, `wss://${gateway.host}/connect?channel=order_123`)).toBe(0);
		expect(new Set(gateway.asked).size).toBe(1);
	});

	it("sees the code with which the server says goodbye", async () => {
		await page.goto(`https://${gateway.host}/`);
		const socket = await open(page, `wss://${gateway.host}/connect?channel=order_123`);
		await gateway.tidewire.close();
		expect(await next(page, socket)).toBe("closed with 1012, cleanly");
	});

	it("uses HTTP/1.1 where it has no session", async () => {
		const other = await startGateway("*");
		try {
			await page.goto(`https://${gateway.host}/`);
			expect(await open(page, `wss://${other.host}/connect?channel=order_123`)).toBe(0);
			expect(other.asked).toEqual([]);
			await other.tidewire.channel("order_123").publish({ lat: 1 });
			expect(await next(page, 0)).toBe(`{"lat":1}`);
		} finally {
			await other.stop();
		}
	});

	it("gets both from a port of Tidewire's own", async () => {
		const tidewire = createServer(undefined, OPTIONS);
		try {
			const { url } = await tidewire.listen({ port: 0, tls: CERTIFICATE });
			await page.goto(`${url}/healthz`);
			const protocol = await page.evaluate(
				() => (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming).nextHopProtocol,
			);
			expect(protocol).toBe("h2");
			const target = `${url.replace("http", "ws")}/connect?channel=order_123`;
			const sockets = [await open(page, target), await open(page, target)];
			await tidewire.channel("order_123").publish({ lat: 1 });
			expect(await Promise.all(sockets.map((socket) => next(page, socket)))).toEqual([`{"lat":1}`, `{"lat":1}`]);
		} finally {
			await tidewire.close();
		}
	});
});
