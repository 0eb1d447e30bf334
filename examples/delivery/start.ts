/**
 * `npm start`: runs the gateway, the customers' pages and the drivers' program, tells where to look, brings back what
 * dies, and ends all of it on Ctrl-C. The composition root of the example; no delivery logic.
 */
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { deliveries } from "./deliveries.ts";
import { type Kept, keep, type Program } from "./keeper.ts";
import { issueToken, sign } from "./keys.ts";

const USAGE = `usage: npm start -- [--host 127.0.0.1] [--port 7400] [--pages-port 7401] [--speed 1] [--rest 8] [--interval 250]

  --port, --pages-port   where gateway and pages listen; 0 takes any free port (TIDEWIRE_PORT, TIDEWIRE_PAGES_PORT)
  --speed                how fast the recorded drives are played; 1 is the recorded pace (TIDEWIRE_SPEED)
  --rest                 seconds that a car stands at the door before its delivery begins afresh
  --interval             milliseconds between two positions of a car`;

/** Two signals within this time are one Ctrl-C: a terminal sends it to us and to npm, and npm passes it on. */
const SAME_SIGNAL_MS = 400;

const { host, secret, ...options } = readOptions();
const port = await claimPort(host, options.port, "--port");
const pagesPort = await claimPort(host, options.pagesPort, "--pages-port");
if (port === pagesPort) {
	fail(2, "gateway and pages cannot share one port");
}
const kept = programs().map((program) => keep(program, { line, ready, gaveUp }));
const awaited = new Set(["pages", "driver"]);
let signalledMs: number | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
	process.on(signal, () => void stop());
}

function programs(): readonly Program[] {
	const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
	const tidewire = fileURLToPath(new URL("./bin/tidewire.js", import.meta.resolve("tidewire/package.json")));
	const source = "--conditions=tidewire-source";
	const origins = [host, "127.0.0.1", "localhost"].map((name) => `http://${name}:${pagesPort}`);
	const gateway = ["--host", host, "--port", String(port), "--drain", "1"];
	const drive = ["--speed", options.speed, "--rest", options.rest, "--interval", options.interval];
	return [
		{
			name: "gateway",
			args: [source, tidewire, "serve", "--config", here("tidewire.config.ts"), ...gateway],
			env: { DELIVERY_SECRET: secret, DELIVERY_ORIGINS: [...new Set(origins)].join(" ") },
		},
		{
			name: "pages",
			args: [source, here("pages.ts")],
			env: {
				DELIVERY_SECRET: secret,
				DELIVERY_HOST: host,
				DELIVERY_PORT: String(port),
				DELIVERY_PAGES_PORT: String(pagesPort),
			},
		},
		{
			name: "driver",
			args: [source, here("driver.ts"), "--gateway", `ws://${host}:${port}/connect`, ...drive],
			env: { DELIVERY_DRIVER_TOKEN: issueToken(secret, "driver", "fleet") },
		},
	];
}

function line(name: string, text: string): void {
	console.log(`${name.padEnd(7)} | ${text}`);
}

/** Once all are at work, whoever started this is told where to look. */
function ready(name: string): void {
	if (!awaited.delete(name) || awaited.size > 0) {
		return;
	}
	const pages = `http://${host}:${pagesPort}`;
	const links = [...deliveries.keys()].flatMap((orderId) => {
		const key = sign(secret, "link", orderId);
		return [
			`  Order ${orderId}      ${pages}/orders/${orderId}?key=${key}`,
			`    without SDK  ${pages}/orders/${orderId}/plain?key=${key}`,
		];
	});
	console.log(
		[
			"",
			"  Two deliveries are on their way. Open one of these in a browser:",
			"",
			`  Inbox          ${pages}/`,
			...links,
			"",
			`  Gateway        ws://${host}:${port}/connect (kill -9 it and watch it come back)`,
			"  Ctrl-C stops everything.",
			"",
		].join("\n"),
	);
}

function gaveUp(name: string): void {
	console.error(`The ${name} does not start. Its own words stand above.`);
	process.exitCode = 1;
	void stop();
}

async function stop(): Promise<void> {
	const nowMs = performance.now();
	if (signalledMs !== undefined) {
		if (nowMs - signalledMs > SAME_SIGNAL_MS) {
			for (const program of kept) {
				program.kill();
			}
			process.exit(1);
		}
		return;
	}
	signalledMs = nowMs;
	console.log("\nStopping. Ctrl-C again stops at once.");
	await Promise.all(kept.map((program: Kept) => program.stop()));
	process.exit();
}

function readOptions() {
	const { env } = process;
	try {
		const { values } = parseArgs({
			options: {
				host: { type: "string", default: "127.0.0.1" },
				port: { type: "string", default: env.TIDEWIRE_PORT ?? "7400" },
				"pages-port": { type: "string", default: env.TIDEWIRE_PAGES_PORT ?? "7401" },
				speed: { type: "string", default: env.TIDEWIRE_SPEED ?? "1" },
				rest: { type: "string", default: "8" },
				interval: { type: "string", default: "250" },
				help: { type: "boolean", default: false },
			},
		});
		if (values.help) {
			console.log(USAGE);
			process.exit(0);
		}
		const number = (
			name: "port" | "pages-port" | "speed" | "rest" | "interval",
			least: number,
			most: number,
		): number => {
			const value = Number(values[name]);
			if (!(value >= least && value <= most)) {
				throw new RangeError(`--${name} is ${values[name]}, but must be a number from ${least} to ${most}`);
			}
			return value;
		};
		return {
			host: values.host,
			port: number("port", 0, 65_535),
			pagesPort: number("pages-port", 0, 65_535),
			speed: String(number("speed", 0.1, 1000)),
			rest: String(number("rest", 0, 3600)),
			interval: String(number("interval", 10, 60_000)),
			secret: randomBytes(32).toString("base64url"),
		};
	} catch (error) {
		return fail(2, `${(error as Error).message}\n\n${USAGE}`);
	}
}

/** A port that was free a moment ago. The programs get it by number, so that a gateway comes back where it was. */
async function claimPort(host: string, wanted: number, option: string): Promise<number> {
	const probe = createServer();
	try {
		return await new Promise<number>((resolve, reject) => {
			probe.once("error", reject);
			probe.listen(wanted, host, () => resolve((probe.address() as { port: number }).port));
		});
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException;
		return fail(
			1,
			code === "EADDRINUSE"
				? `Port ${wanted} on ${host} is taken by another program. Choose another: npm start -- ${option} 0 takes any free one.`
				: `Cannot listen on ${host}:${wanted}: ${message}`,
		);
	} finally {
		probe.close();
	}
}

function fail(code: number, message: string): never {
	console.error(message);
	process.exit(code);
}
