/** C2 in Chromium: what was typed offline survives a reload of the page, and is sent once, in order. */
import { createServer as createHttpServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { type Broker, createMemoryCluster, type MemoryCluster } from "@tidewire/broker";
import { createServer, SILENT, type TidewireServer } from "@tidewire/server";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { rolldown } from "rolldown";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { requires } from "../../../test/requires.ts";

/** Until it is so: a browser on a busy machine takes its time. */
function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
	return expect.poll(read, { timeout: 20_000 });
}

const chromiumProgram = requires("chromium");
/** Nothing that calls home, and nothing that a container lacks. */
const FLAGS = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];
const HTML = `<!doctype html><title>chat</title><body><form><input autofocus></form>
<ul id="messages"></ul><ul id="outcomes"></ul><ul id="errors"></ul><script type="module" src="/page.js"></script>`;

let browser: Browser;
let web: Server;
let origin: string;
let context: BrowserContext;
/** What a server leaves behind, the next one finds. */
let cluster: MemoryCluster;
let broker: Broker;
let tidewire: TidewireServer | undefined;
/** The Tidewire server's, before and after it was away. */
let port = 0;

async function bundle(): Promise<string> {
	const bundled = await rolldown({
		input: fileURLToPath(new URL("browser/page.ts", import.meta.url)),
		platform: "browser",
		resolve: { conditionNames: ["tidewire-source", "import"] },
	});
	const { output } = await bundled.generate({ format: "esm" });
	await bundled.close();
	return output[0].code;
}

async function online(): Promise<void> {
	tidewire = createServer(undefined, {
		broker: cluster.node(),
		may: { subscribe: { "*": true }, publish: { "*": true }, history: { "*": true } },
		allowedOrigins: [origin],
		log: SILENT,
	});
	({ port } = await tidewire.listen({ port }));
}

async function offline(): Promise<void> {
	await tidewire?.close({ drainMs: 0 });
	tidewire = undefined;
}

async function published(): Promise<readonly string[]> {
	const { entries } = await broker.read("chat", { after: 0, limit: 100 });
	return entries.map(({ data }) => JSON.parse(Buffer.from(data).toString()) as string);
}

async function open(page?: Page): Promise<Page> {
	const opened = page ?? (await context.newPage());
	await opened.goto(`${origin}/?server=ws://127.0.0.1:${port}/connect`);
	await opened.locator("body[data-loaded]").waitFor();
	return opened;
}

async function reload(page: Page): Promise<void> {
	await page.reload();
	await page.locator("body[data-loaded]").waitFor();
}

async function type(page: Page, ...texts: readonly string[]): Promise<void> {
	for (const text of texts) {
		await page.fill("input", text);
		await page.press("input", "Enter");
	}
}

/** Run in the page: everything that is in its databases, as text. */
const READ_STORED = `(async () => {
	const asked = (request) => new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
	const found = [];
	for (const { name } of await indexedDB.databases()) {
		const database = await asked(indexedDB.open(name));
		for (const store of database.objectStoreNames) {
			found.push(...(await asked(database.transaction(store).objectStore(store).getAll())));
		}
		database.close();
	}
	return JSON.stringify(found);
})()`;

/** What was typed is in the database: before, nobody promised that a reload keeps it. */
async function typeAndKeep(page: Page, ...texts: readonly string[]): Promise<void> {
	await type(page, ...texts);
	await eventually(async () => {
		const stored = (await page.evaluate(READ_STORED)) as string;
		return texts.filter((text) => !stored.includes(text));
	}).toEqual([]);
}

const items = (page: Page, list: string): Promise<readonly string[]> => page.locator(`${list} li`).allTextContents();
const state = (page: Page, name: string): Promise<unknown> =>
	page.locator(`body[data-state=${name}]`).waitFor({ state: "attached" });

chromiumProgram.describe("a page with an outbox", () => {
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath: chromiumProgram.path, args: FLAGS });
		const script = await bundle();
		web = createHttpServer(({ url }, response) => {
			const isScript = url === "/page.js";
			response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
			response.end(isScript ? script : HTML);
		});
		await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
		origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
	});

	afterAll(async () => {
		await browser?.close();
		web?.close();
	});

	beforeEach(async () => {
		context = await browser.newContext();
		cluster = createMemoryCluster();
		broker = cluster.node();
		await online();
	});

	afterEach(async () => {
		await context.close();
		await offline();
		await cluster.close();
	});

	it("sends three messages, typed offline before a reload, once and in order", async () => {
		const page = await open();
		await state(page, "connected");
		await offline();
		await state(page, "waiting");
		await typeAndKeep(page, "one", "two", "three");
		await reload(page);
		expect(await page.locator("body").getAttribute("data-waiting")).toBe("3");
		await online();
		await eventually(() => items(page, "#outcomes")).toEqual(["one done", "two done", "three done"]);
		expect(await published()).toEqual(["one", "two", "three"]);
		await reload(page);
		await type(page, "four");
		await eventually(published).toEqual(["one", "two", "three", "four"]);
		expect(await items(page, "#errors")).toEqual([]);
	});

	it("asks again, in its session, for what it had sent when it was left before the answer came", async () => {
		const page = await context.newPage();
		let isLosing = false;
		await page.routeWebSocket(/connect$/, (socket) => {
			const server = socket.connectToServer();
			server.onMessage((message) => {
				if (!isLosing) {
					socket.send(message);
				}
			});
		});
		await open(page);
		await state(page, "connected");
		await page.locator("body[data-channel=subscribed]").waitFor();
		const session = await page.locator("body").getAttribute("data-session");
		isLosing = true;
		await type(page, "one", "two");
		await eventually(published).toEqual(["one", "two"]);
		expect(await items(page, "#outcomes")).toEqual([]);
		isLosing = false;
		await reload(page);
		await eventually(() => items(page, "#outcomes")).toEqual(["one done", "two done"]);
		expect(await page.locator("body").getAttribute("data-session")).toBe(session);
		expect(await published()).toEqual(["one", "two"]);
		// And what it had not seen of the channel comes where the page before was.
		expect(await items(page, "#messages")).toEqual(["one", "two"]);
	});

	it("in two tabs keeps two, and a duplicated tab does not take its twin's", async () => {
		const first = await open();
		await state(first, "connected");
		const [second] = await Promise.all([
			context.waitForEvent("page"),
			first.evaluate("void window.open(location.href)"),
		]);
		await second.locator("body[data-loaded]").waitFor();
		await state(second, "connected");
		const sessionOf = (page: Page): Promise<string | null> => page.locator("body").getAttribute("data-session");
		expect(await sessionOf(second)).not.toBe(await sessionOf(first));
		await offline();
		await Promise.all([state(first, "waiting"), state(second, "waiting")]);
		await typeAndKeep(first, "a1", "a2");
		await typeAndKeep(second, "b1", "b2");
		await Promise.all([reload(first), reload(second)]);
		await online();
		await eventually(async () => (await published()).toSorted()).toEqual(["a1", "a2", "b1", "b2"]);
		await eventually(() => items(first, "#outcomes")).toEqual(["a1 done", "a2 done"]);
		await eventually(() => items(second, "#outcomes")).toEqual(["b1 done", "b2 done"]);
	});

	it("leaves what a closed tab had typed to the next that opens", async () => {
		const page = await open();
		await offline();
		await typeAndKeep(page, "last words");
		await reload(page);
		await page.close();
		await online();
		await open();
		await eventually(published).toEqual(["last words"]);
	});

	it("does without Web Locks, which pages without TLS do not have", async () => {
		await context.addInitScript(
			"Object.defineProperty(navigator, 'locks', { value: undefined }); delete Crypto.prototype.randomUUID;",
		);
		const first = await open();
		await state(first, "connected");
		await offline();
		await typeAndKeep(first, "one");
		await reload(first);
		await typeAndKeep(first, "two");
		const second = await open();
		await typeAndKeep(second, "other");
		await Promise.all([reload(first), reload(second)]);
		await online();
		await eventually(async () => (await published()).toSorted()).toEqual(["one", "other", "two"]);
		await eventually(() => items(first, "#outcomes")).toEqual(["one done", "two done"]);
	});
});
