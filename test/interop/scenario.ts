/**
 * What every client must be able to do with Tidewire, written once. The files beside this one run it with a library
 * each.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Abilities, Client, type Program } from "./client.ts";
import { type Gateway, MAX_MESSAGE_BYTES, startGateway } from "./gateway.ts";

/** Messages that must arrive as exactly this text: a parser and a serialiser in between would show. */
const VERBATIM = [
	`{"lat":40.7128,"lng":-74.006,"eta":"3 minutes"}`,
	`{"p":1.0,"n":12345678901234567890,"2":0,"1":0}`,
	`{"text":"Grüße, 世界 🚗 \\u0000 \\ud83d"}`,
];
const CONTACT = `{"id":"msg_123","action":"contact_driver","message":"I'm waiting outside"}`;

/** Declares the tests; to be called within a `describe`. Clients that live in a page get the origin to load it from. */
export function itTalksToTidewire(abilities: Abilities, start: (origin: string) => Promise<Program>): void {
	let gateway: Gateway;
	let client: Client;

	// The program lives for the whole file, since some take seconds to start; the gateway for one test.
	let host: Gateway;
	beforeAll(async () => {
		host = await startGateway();
		client = new Client(await start(host.origin));
	});
	afterAll(async () => {
		await client?.stop();
		await host?.stop();
	});
	beforeEach(async () => {
		gateway = await startGateway([host.origin]);
	});
	afterEach(() => gateway.stop());

	describe.each([
		["by ?channel=", "/connect?channel=order_123"],
		["by a route", "/track?orderId=123"],
	])("plain, %s", (_, path) => {
		it("gets what is published, as exactly the publisher's text", async () => {
			const customer = await client.open(gateway.url + path);
			const driver = await client.open(`${gateway.url}/connect`);
			for (const data of VERBATIM) {
				driver.send(`{"action":"publish","channel":"order_123","data":${data}}`);
				expect(await customer.text()).toBe(data);
			}
		});

		it("gets nothing of another order", async () => {
			const customer = await client.open(gateway.url + path);
			await gateway.publish("456", { lat: 1 });
			await gateway.publish("123", { lat: 2 });
			expect(await customer.text()).toBe(`{"lat":2}`);
		});

		it("calls an action and gets its acknowledgement", async () => {
			const customer = await client.open(gateway.url + path);
			customer.send(CONTACT);
			expect(await customer.text()).toBe(`{"ack":"msg_123"}`);
			expect(gateway.told).toEqual(["I'm waiting outside"]);
		});
	});

	it("publishes bare data by a route, and gets it as it was", async () => {
		const ann = await client.open(`${gateway.url}/rooms/lobby`);
		const bob = await client.open(`${gateway.url}/rooms/lobby`);
		ann.send(`{"type":"message","text":"Hello"}`);
		expect(await bob.text()).toBe(`{"type":"message","text":"Hello"}`);
		expect(await ann.text()).toBe(`{"type":"message","text":"Hello"}`);
	});

	it("sends and gets binary messages", async () => {
		const ann = await client.open(`${gateway.url}/rooms/lobby`);
		const bytes = Buffer.from([0, 255, 128, 10, 13]).toString("base64");
		ann.tell("binary", bytes);
		expect((await ann.next("binary")).data).toBe(bytes);
	});

	it("negotiates tidewire.v1.json: hello, subscribe, publish, offsets", async () => {
		const ann = client.connect(`${gateway.url}/connect`, "tidewire.v1.json");
		expect((await ann.next("open")).protocol).toBe("tidewire.v1.json");
		expect(JSON.parse(await ann.text())).toMatchObject({ hello: { version: 1, durability: "memory" } });
		ann.send(`{"id":1,"action":"subscribe","channel":"order_123"}`);
		const subscribed = JSON.parse(await ann.text()) as { readonly ack: number; readonly position: string };
		expect(subscribed).toMatchObject({ ack: 1, channel: "order_123" });
		await gateway.publish("123", { lat: 40.7128 });
		const offset = Number(subscribed.position.split(":")[1]) + 1;
		expect(await ann.text()).toBe(`{"channel":"order_123","offset":${offset},"data":{"lat":40.7128}}`);
	});

	it("sends and gets a message of 1 MB, answers the ping behind it, and goes on", async () => {
		const customer = await client.open(`${gateway.url}/connect?channel=order_123`);
		const driver = await client.open(`${gateway.url}/connect`);
		const large = `{"text":"${"é".repeat(500_000)}"}`;
		driver.send(`{"id":1,"action":"publish","channel":"order_123","data":${large}}`);
		expect((await customer.text()) === large).toBe(true);
		expect(JSON.parse(await driver.text())).toMatchObject({ ack: 1 });
		// The server pings after so many bytes, and sends no more to this client before the pong.
		await gateway.publish("123", { after: "large" });
		expect(await customer.text()).toBe(`{"after":"large"}`);
	});

	// Not declared rather than skipped where a library cannot: a skip says that something is to be installed.
	if (abilities.fragments) {
		it("sends one message in several frames", async () => {
			const customer = await client.open(`${gateway.url}/track?orderId=123`);
			customer.tell("fragments", "7", `{"id":"msg_124","action":"contact_driver","message":"Grüße aus 世界 🚗"}`);
			expect(await customer.text()).toBe(`{"ack":"msg_124"}`);
			expect(gateway.told).toEqual(["Grüße aus 世界 🚗"]);
		});
	}

	if (abilities.ping) {
		it("gets a pong for its ping, with the same bytes", async () => {
			const customer = await client.open(`${gateway.url}/track?orderId=123`);
			customer.tell("ping", "are you there?");
			expect((await customer.next("pong")).data).toBe("are you there?");
		});
	}

	if (abilities.page) {
		it("connects to its page's own server without more ado, and not to one that does not know the origin", async () => {
			await client.open(`${host.url}/track?orderId=123`);
			const stranger = await startGateway();
			onTestFinished(() => stranger.stop());
			await client.connect(`${stranger.url}/track?orderId=123`).next("refused");
		});
	}

	it("closes with a code, which the server has seen and sends back", async () => {
		const customer = await client.open(`${gateway.url}/track?orderId=123`);
		expect(gateway.connections).toBe(1);
		customer.tell("close", "3001", "arrived");
		expect(await customer.next("closed")).toMatchObject({ code: 3001 });
		expect(gateway.connections).toBe(0);
	});

	it("sees the code and the reason with which the server closes", async () => {
		const customer = await client.open(`${gateway.url}/track?orderId=123`);
		const closed = gateway.close();
		expect(await customer.next("closed")).toMatchObject({ code: 1012, reason: "this node is going away" });
		await closed;
	});

	it("is closed with 1009 for a message that is too large, and others are not", async () => {
		const other = await client.open(`${gateway.url}/track?orderId=123`);
		const customer = await client.open(`${gateway.url}/track?orderId=123`);
		customer.send("x".repeat(MAX_MESSAGE_BYTES + 1));
		expect(await customer.next("closed")).toMatchObject({ code: 1009 });
		await gateway.publish("123", { lat: 1 });
		expect(await other.text()).toBe(`{"lat":1}`);
	});

	it.each([
		["a channel that it may not subscribe to", "/connect?channel=order_secret", "", 403],
		["a route without its parameter", "/track", "", 400],
		["subprotocols that nobody knows", "/connect", "soap", 400],
	])("is refused: %s", async (_, path, protocol, status) => {
		const customer = client.connect(gateway.url + path, protocol);
		expect((await customer.next("refused")).status).toBe(abilities.refusal ? status : null);
		expect(gateway.connections).toBe(0);
	});
}
