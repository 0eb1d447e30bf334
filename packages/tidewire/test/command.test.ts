/**
 * The `tidewire` command as a person starts it: a process with arguments, output and an exit code. Wire protocol,
 * "Command line".
 */
import { once } from "node:events";
import { createConnection } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Running, start } from "./running.ts";

const configs = join(import.meta.dirname, "configs");

/** Runs a command that ends by itself. */
async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
	return start(args).ended;
}

/** A gateway on a free port. */
async function serve(...args: string[]): Promise<{ gateway: Running; url: string }> {
	const gateway = start(["serve", "--port", "0", ...args]);
	const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
	return { gateway, url };
}

/** A subscriber that the server has accepted, to its first channel at least. */
async function sub(url: string, channel: string, ...args: string[]): Promise<Running> {
	const subscriber = start(["sub", url, channel, ...args]);
	await subscriber.says(new RegExp(`^listening to ${channel}$`, "m"), "stderr");
	return subscriber;
}

/** A client that connects and then answers nothing, not even the closing handshake. */
async function holdOpen(url: string): Promise<void> {
	const { hostname, port } = new URL(url);
	const socket = createConnection(Number(port), hostname);
	onTestFinished(() => void socket.destroy());
	const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
	socket.write(
		`GET /connect?channel=x HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`,
	);
	await once(socket, "readable");
}

describe("tidewire serve, sub and pub together", () => {
	it("prints what is published, one JSON object a line, and the position of what was accepted", async () => {
		const { url } = await serve("--dev");
		const subscriber = await sub(url, "order_123", "order_456");
		await subscriber.says(/^listening to order_456$/m, "stderr");

		const published = await run("pub", url, "order_123", '{"lat":1}');
		expect(published).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\S+:1\n$/) });
		await run("pub", url, "order_456", '"second"');

		await subscriber.says(/second/);
		const lines = subscriber.stdout.trimEnd().split("\n");
		expect(lines.map((line) => JSON.parse(line))).toEqual([
			{ channel: "order_123", offset: 1, position: published.stdout.trim(), data: { lat: 1 } },
			{ channel: "order_456", offset: 1, position: expect.any(String), data: "second" },
		]);
	});

	it("publishes numbers as they were typed", async () => {
		const { url } = await serve("--dev");
		const socket = new WebSocket(`${url}?channel=exact`);
		await once(socket, "open");
		const received = once(socket, "message");
		await run("pub", url, "exact", '{"p":1.0,"n":12345678901234567890}');
		const [event] = (await received) as [MessageEvent];
		expect(event.data).toBe('{"p":1.0,"n":12345678901234567890}');
		socket.close();
	});

	it("goes on by itself after the gateway was killed and restarted, and says that its memory is gone", async () => {
		const first = await serve("--dev");
		const subscriber = await sub(first.url, "order_123");
		await run("pub", first.url, "order_123", '"before"');
		await subscriber.says(/before/);

		await first.gateway.kill("SIGKILL");
		await serve("--dev", "--port", new URL(first.url).port);
		await subscriber.says(/"event":"reset"/);
		await run("pub", first.url, "order_123", '"after"');
		await subscriber.says(/after/);
	});

	it("takes rules and users from tidewire.config.ts in the working directory", async () => {
		const gateway = start(["serve", "--port", "0"], { cwd: join(configs, "complete") });
		const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
		await gateway.says(/^Clients that the config authenticates may do what the config's rules allow$/m);

		const ann = await sub(url, "order_123", "--token", "anns");
		expect(await run("pub", url, "order_123", "1", "--token", "anns")).toMatchObject({ code: 0 });
		await ann.says(/"data":1\}/);

		const refused = await run("sub", url, "order_456", "secret_x", "--token", "anns");
		expect(refused.code).toBe(1);
		expect(refused.stderr).toMatch(/order_456: .*\(forbidden\)/);
		expect(refused.stderr).toMatch(/secret_x: .*\(forbidden\)/);
		expect(await run("pub", url, "secret_x", "1", "--token", "anns")).toMatchObject({
			code: 1,
			stderr: expect.stringContaining("forbidden"),
		});
		expect((await run("pub", url, "order_123", "1", "--token", "wrong")).code).toBe(1);
	});
});

describe("without --dev and without rules", () => {
	it("lets only the holder of the API key subscribe and publish, and says so", async () => {
		const key = "a-key-of-enough-length";
		const gateway = start(["serve", "--port", "0"], { env: { TIDEWIRE_API_KEY: key } });
		const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
		await gateway.says(/^Nobody may subscribe or publish except with the API key$/m);
		expect(gateway.stdout).not.toContain(key);

		expect(await run("pub", url, "order_123", "1")).toMatchObject({ code: 1, stdout: "" });
		expect((await start(["pub", url, "order_123", "1"], { env: { TIDEWIRE_TOKEN: key } }).ended).code).toBe(0);
	});
});

describe("ending", () => {
	it.each(["SIGTERM", "SIGINT"] as const)("serve ends cleanly after %s", async (signal) => {
		const { gateway } = await serve("--dev");
		expect(await gateway.kill(signal)).toMatchObject({ code: 0 });
	});

	it("serve drains after the first signal and stops at once after the second", async () => {
		const { gateway, url } = await serve("--dev", "--drain", "600");
		await holdOpen(url);
		const ended = gateway.kill("SIGTERM");
		await gateway.says(/^draining/m, "stderr");
		void gateway.kill("SIGTERM");
		expect(await ended).toMatchObject({ code: 1 });
	});

	it("serve takes a Ctrl-C that arrives twice at once, from the terminal and from npm, for one", async () => {
		const { gateway } = await serve("--dev");
		void gateway.kill("SIGINT");
		expect(await gateway.kill("SIGINT")).toMatchObject({ code: 0 });
	});

	it("sub ends cleanly after SIGINT", async () => {
		const { url } = await serve("--dev");
		const subscriber = await sub(url, "order_123");
		expect(await subscriber.kill("SIGINT")).toMatchObject({ code: 0 });
	});

	it("sub ends cleanly when nobody reads it any more, as in | head -1", async () => {
		const { url } = await serve("--dev");
		const subscriber = await sub(url, "order_123");
		subscriber.stopReading();
		// The pipe breaks with the first line that is written to it.
		await run("pub", url, "order_123", "1");
		expect(await subscriber.ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining("EPIPE") });
	});
});

describe("usage errors, exit code 2", () => {
	const url = "ws://127.0.0.1:1/connect";
	it.each([
		["an unknown command", ["publish"], /unknown command/],
		["an unknown flag", ["serve", "--prot", "1"], /unknown option '--prot'/],
		["a port that is none", ["serve", "--port", "70000"], /from 0 to 65535/],
		["a drain that is no number", ["serve", "--drain", "soon"], /number of seconds/],
		["--dev beyond loopback", ["serve", "--dev", "--host", "0.0.0.0"], /loopback only/],
		["several workers", ["serve", "--workers", "auto"], /not in this version/],
		["a certificate without its key", ["serve", "--tls-cert", "a.pem"], /belong together/],
		["a key without its certificate", ["serve", "--tls-key", "a.pem"], /belong together/],
		["another broker", ["serve", "--broker", "redis://localhost"], /not in this version/],
		["sub without a channel", ["sub", url], /missing required argument/],
		["sub at no WebSocket URL", ["sub", "http://127.0.0.1/connect", "x"], /ws:\/\/ or wss:\/\/ URL/],
		["pub of what is no JSON", ["pub", url, "x", "{lat:1}"], /must be JSON/],
	])("%s", async (_what, args, words) => {
		expect(await run(...args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(words) });
	});
});

describe("failures, exit code 1, with the reason", () => {
	it.each([
		["that does not exist", "missing.ts", /there is no config file .*missing\.ts/],
		["without a default export", "no-default.ts", /no-default\.ts has no config as its default export/],
		["that throws", "throws.ts", /throws\.ts does not load:\n.*the owner's own mistake/],
		["with overlapping patterns", "overlapping.ts", /a_\{x\}.*\{y\}_b|\{y\}_b.*a_\{x\}/],
		["with an option that cannot be meant", "refused-option.ts", /intervalMs/],
		["with a misspelt name", "misspelt.ts", /misspelt\.ts has "contrac", .* the nearest is "contract"/],
	])("a config %s", async (_what, file, words) => {
		const args = ["serve", "--port", "0", "--config", join(configs, file)];
		expect(await run(...args)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(words) });
	});

	it("a port that somebody else has", async () => {
		const { url } = await serve("--dev");
		const { code, stderr } = await run("serve", "--dev", "--port", new URL(url).port);
		expect(code).toBe(1);
		expect(stderr).toMatch(/EADDRINUSE|in use/);
	});
});

describe("a server that cannot be reached", () => {
	it("is named by sub, without what its URL may keep secret, until there is one", async () => {
		const subscriber = start(["sub", "ws://127.0.0.1:1/connect?token=secret", "order_123"]);
		await subscriber.says(/^waiting: no WebSocket connection to ws:\/\/127\.0\.0\.1:1\/connect$/m, "stderr");
		expect(await subscriber.kill("SIGINT")).toMatchObject({ code: 0, stderr: expect.not.stringContaining("secret") });
	});
});

describe("questions, exit code 0", () => {
	it.each([
		[["--version"], /^\d+\.\d+\.\d+\n$/],
		[["--help"], /serve.*sub.*pub/s],
		[["serve", "--help"], /--api-key/],
	])("%j", async (args, words) => {
		expect(await run(...args)).toMatchObject({ code: 0, stdout: expect.stringMatching(words) });
	});
});
