/**
 * curl: the handshake by hand over HTTP, with frames written and read as bytes; and `curl ws://…` where curl was built
 * with it.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { requires } from "../requires.ts";
import { type Gateway, startGateway } from "./gateway.ts";

const UPGRADE = [
	"Connection: Upgrade",
	"Upgrade: websocket",
	"Sec-WebSocket-Version: 13",
	// The example of RFC 6455 §1.3, with its answer.
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const CLOSE_1012 = Buffer.from([0x88, 25, 0x03, 0xf4]);

const curl = requires("curl");

class Curl {
	readonly #child;
	readonly #closed: Promise<unknown[]>;
	#output = Buffer.alloc(0);
	#errors = "";
	#arrived: (() => void) | undefined;
	#ended = false;

	constructor(...args: readonly string[]) {
		const child = spawn(curl.path, ["--silent", "--show-error", "--no-buffer", "--max-time", "5", ...args]);
		onTestFinished(() => void child.kill("SIGKILL"));
		child.stdin.on("error", () => {});
		child.stdout.on("data", (chunk: Buffer) => {
			this.#output = Buffer.concat([this.#output, chunk]);
			this.#arrived?.();
		});
		child.stderr.setEncoding("utf8").on("data", (text: string) => {
			this.#errors += text;
		});
		this.#closed = once(child, "close").finally(() => {
			this.#ended = true;
			this.#arrived?.();
		});
		this.#child = child;
	}

	/** The whole of its input. */
	write(bytes: Uint8Array): void {
		this.#child.stdin.end(bytes);
	}

	kill(): void {
		this.#child.kill();
	}

	/** Resolves when curl has printed these bytes, in its whole output or after others. */
	async prints(bytes: string | Buffer): Promise<void> {
		while (!this.#output.includes(bytes)) {
			if (this.#ended) {
				throw new Error(`curl ended without ${String(bytes)}: ${this.#output.toString("latin1")}${this.#errors}`);
			}
			await new Promise<void>((resolve) => {
				this.#arrived = resolve;
			});
		}
	}

	/** All that was printed, when curl has ended. */
	async end(): Promise<string> {
		await this.#closed;
		return this.#output.toString("utf8");
	}
}

/** A handshake by hand, and frames that follow the request at once: curl reads no input while it waits for answers. */
function upgrade(url: string, frames?: Uint8Array): Curl {
	const sends = frames === undefined ? [] : ["--request", "GET", "--upload-file", "-"];
	const headers = [...UPGRADE, "Transfer-Encoding:", "Expect:"].flatMap((header) => ["--header", header]);
	const child = new Curl("--include", "--http1.1", ...sends, ...headers, url);
	child.write(frames ?? Buffer.alloc(0));
	return child;
}

/** A short text frame as servers send it; with `masked`, as clients do, with a mask that changes nothing. */
function textFrame(text: string, masked = false): Buffer {
	const payload = Buffer.from(text);
	const head = masked ? [0x81, 0x80 | payload.length, 0, 0, 0, 0] : [0x81, payload.length];
	return Buffer.concat([Buffer.from(head), payload]);
}

curl.describe("curl", () => {
	let gateway: Gateway;
	beforeEach(async () => {
		gateway = await startGateway();
	});
	afterEach(() => gateway.stop());

	it.each(["/connect?channel=order_123", "/track?orderId=123"])("shakes hands and prints: %s", async (path) => {
		const customer = upgrade(gateway.origin + path);
		// curl keeps the response's head until something follows it.
		await expect.poll(() => gateway.connections).toBe(1);
		await gateway.publish("123", { lat: 40.7128, lng: -74.006, eta: "3 minutes" });
		await customer.prints(textFrame(`{"lat":40.7128,"lng":-74.006,"eta":"3 minutes"}`));
		const closed = gateway.close();
		await customer.prints(CLOSE_1012);
		customer.kill();
		await closed;
		const head = await customer.end();
		expect(head).toMatch(/^HTTP\/1\.1 101 /);
		expect(head.toLowerCase()).toContain(`sec-websocket-accept: ${ACCEPT}`.toLowerCase());
	});

	it("sends frames right behind the request", async () => {
		const data = `{"p":1.0,"n":12345678901234567890,"2":0,"1":0}`;
		const customer = upgrade(
			`${gateway.origin}/track?orderId=123`,
			Buffer.concat([
				textFrame(`{"id":"msg_123","action":"contact_driver","message":"I'm waiting outside"}`, true),
				textFrame(`{"action":"publish","channel":"order_123","data":${data}}`, true),
			]),
		);
		await customer.prints(textFrame(`{"ack":"msg_123"}`));
		await customer.prints(textFrame(data));
		expect(gateway.told).toEqual(["I'm waiting outside"]);
		customer.kill();
	});

	it("is told why it is refused", async () => {
		const answer = await upgrade(`${gateway.origin}/connect?channel=order_secret`).end();
		expect(answer).toMatch(/^HTTP\/1\.1 403 /);
		expect(answer).toMatch(/order_secret/);
	});

	const version = curl.path === "" ? "" : spawnSync(curl.path, ["--version"], { encoding: "utf8" }).stdout;
	if (/^Protocols:.* ws( |$)/m.test(version)) {
		it("prints what is published: curl ws://…", async () => {
			const customer = new Curl("--include", `${gateway.url}/track?orderId=123`);
			await expect.poll(() => gateway.connections).toBe(1);
			await gateway.publish("123", { lat: 1 });
			await customer.prints(`{"lat":1}`);
			customer.kill();
		});
	}
});
