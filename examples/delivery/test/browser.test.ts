/** What a customer sees, in headless Chromium, with gateway, pages and driver as `npm start` runs them. */
import { existsSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { requires } from "../../../test/requires.ts";
import { runs, Show } from "./show.ts";

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

let show: Show;
let browser: Browser;
let context: BrowserContext;

/** Playwright does not look a program up on the path. */
function absolute(program: string): string {
	const places = (process.env.PATH ?? "").split(delimiter).map((folder) => resolve(folder, program));
	return places.find((place) => existsSync(place)) ?? program;
}

/** Everything that reached a page over WebSockets, as text. */
function framesOf(page: Page): string[] {
	const frames: string[] = [];
	page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(payload.toString())));
	return frames;
}

/** The places in what a page received. */
function placesOf(frames: readonly string[]): ReadonlySet<string> {
	return new Set(frames.flatMap((frame) => /"lat":[\d.-]+,"lng":[\d.-]+/.exec(frame) ?? []));
}

async function openOrder(orderId: string, variant: "sdk" | "plain"): Promise<{ page: Page; frames: string[] }> {
	const page = await context.newPage();
	page.on("pageerror", (error) => {
		throw error;
	});
	const frames = framesOf(page);
	await page.goto(await show.link(orderId, variant));
	await page.locator("#connection[data-state=live]").waitFor();
	await page.locator("#eta[data-seconds]").waitFor();
	return { page, frames };
}

/** Runs in a page: what the gateway answers when the page's token asks for a channel. */
function subscribeByToken({ gateway, channel }: { gateway: string; channel: string }): Promise<string> {
	const socket = new WebSocket(`ws://${gateway}/connect`, "tidewire.v1.json");
	return new Promise((resolve) => {
		socket.addEventListener("open", () => {
			socket.send(JSON.stringify({ action: "auth", token: document.body.dataset.token }));
			socket.send(JSON.stringify({ id: "ask", action: "subscribe", channel }));
		});
		socket.addEventListener("message", ({ data }) => {
			const { ack, error } = JSON.parse(String(data)) as { ack?: unknown; error?: { code: string } };
			if (ack === "ask") {
				resolve(error?.code ?? "subscribed");
			}
		});
	});
}

const eta = async (page: Page): Promise<number> => Number(await page.locator("#eta").getAttribute("data-seconds"));
const carAt = (page: Page): Promise<string | null> => page.locator("#map .car").getAttribute("transform");
const received = async (page: Page): Promise<number> => Number(await page.locator("#received").textContent());

async function positionsGoOn(page: Page): Promise<void> {
	const before = await received(page);
	await expect.poll(() => received(page), { timeout: 15_000 }).toBeGreaterThan(before + 3);
}

chromiumProgram.describe("the customer's page", () => {
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath: absolute(chromiumProgram.path), args: FLAGS });
		show = await Show.start("--speed", "2", "--interval", "50", "--rest", "1");
	});

	afterAll(async () => {
		await browser?.close();
		await show?.stop();
	});

	beforeEach(async () => {
		context = await browser.newContext();
	});

	afterEach(() => context.close());

	for (const variant of ["sdk", "plain"] as const) {
		const on = variant === "sdk" ? "on the SDK" : "on a bare WebSocket";

		it(`${on}: the car moves and the ETA falls`, async () => {
			const { page } = await openOrder("123", variant);
			await expect.poll(() => eta(page)).toBeGreaterThan(1);
			const [etaBefore, carBefore] = [await eta(page), await carAt(page)];
			await expect.poll(() => eta(page)).toBeLessThan(etaBefore);
			expect(await carAt(page)).not.toBe(carBefore);
			expect(await page.locator("#latency").textContent()).toMatch(/\d+ ms$/);
		});

		it(`${on}: a message reaches the driver, and the customer is told`, async () => {
			const { page } = await openOrder("123", variant);
			await page.fill("#message", `I'm waiting outside, ${variant}`);
			await page.click("text=Contact driver");
			await page.locator("#contact-state[data-state=received]").waitFor();
			expect(await page.locator("#contact-state").textContent()).toContain("Driver received your message");
			await show.line(new RegExp(`driver *\\| order 123, the customer says: "I'm waiting outside, ${variant}"`));
		});

		it(`${on}: order 456's position never reaches the page of order 123`, async () => {
			const { page, frames } = await openOrder("123", variant);
			await positionsGoOn(page);
			await context.clearCookies();
			const other = await openOrder("456", variant);
			await Promise.all([positionsGoOn(page), positionsGoOn(other.page)]);
			const [ours, theirs] = [placesOf(frames), placesOf(other.frames)];
			expect(ours.size).toBeGreaterThan(3);
			expect(theirs.size).toBeGreaterThan(3);
			expect([...ours].filter((place) => theirs.has(place))).toEqual([]);
			expect(frames.filter((frame) => frame.includes("order_456"))).toEqual([]);
		});
	}

	it.each(["456", "999"])("with the key of order 123, order %s is refused", async (orderId) => {
		const { page } = await openOrder("123", "sdk");
		const gateway = `127.0.0.1:${await page.locator("body").getAttribute("data-gateway-port")}`;
		const outcome = (path: string): Promise<string> =>
			page.evaluate(
				(url) =>
					new Promise<string>((resolve) => {
						const socket = new WebSocket(url);
						socket.addEventListener("open", () => resolve("opened"));
						socket.addEventListener("close", () => resolve("refused"));
					}),
				`ws://${gateway}${path}`,
			);
		expect(await outcome("/track?orderId=123")).toBe("opened");
		expect(await page.evaluate(subscribeByToken, { gateway, channel: "order_123" })).toBe("subscribed");
		expect(await outcome(`/track?orderId=${orderId}`)).toBe("refused");
		expect(await outcome(`/connect?channel=order_${orderId}`)).toBe("refused");
		expect(await page.evaluate(subscribeByToken, { gateway, channel: `order_${orderId}` })).toBe("forbidden");
		const answer = await page.goto(new URL(`/orders/${orderId}`, page.url()).href);
		expect(answer?.status()).toBe(403);
	});

	it("keeps the key out of the address bar, and asks nobody but the shop and its gateway", async () => {
		const page = await context.newPage();
		const asked: string[] = [];
		page.on("request", (request) => asked.push(request.url()));
		await page.goto(await show.link("123"));
		await page.locator("#connection[data-state=live]").waitFor();
		expect(new URL(page.url()).search).toBe("");
		expect(asked.filter((url) => !url.startsWith("http://127.0.0.1:"))).toEqual([]);
	});

	// Last, because it ends the gateway that the others use.
	it("goes on by itself when the gateway is killed and restarted, and says that history begins anew", async () => {
		const [sdk, plain] = [await openOrder("123", "sdk"), await openOrder("123", "plain")];
		const pid = await show.pid("gateway");
		process.kill(pid, "SIGKILL");
		await show.line(/gateway *\| ended \(SIGKILL\); starting it again/);
		await sdk.page.locator("#notice", { hasText: "The server restarted: position history begins anew." }).waitFor();
		await plain.page.locator("#notice", { hasText: "The connection was lost for a moment and is back." }).waitFor();
		await Promise.all([positionsGoOn(sdk.page), positionsGoOn(plain.page)]);
		expect(await sdk.page.locator("#connection").getAttribute("data-state")).toBe("live");
		expect(runs(pid)).toBe(false);
	});
});
