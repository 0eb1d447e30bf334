/** The benchmarks run and print figures. What the figures are is no test's business. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";

const SHORT = ["--seconds", "0.2", "--warm-up", "0.1", "--rounds", "1", "--clients", "20"];

/** What the program prints. */
async function bench(...args: readonly string[]): Promise<string> {
	const program = join(import.meta.dirname, "run.ts");
	const child = spawn(process.execPath, ["--conditions=tidewire-source", program, ...args]);
	onTestFinished(() => void child.kill("SIGKILL"));
	let printed = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding("utf8").on("data", (text: string) => {
			printed += text;
		});
	}
	const [code] = (await once(child, "close")) as [number | null];
	return `${printed}exit ${code}`;
}

it("lists what can be measured", async () => {
	expect(await bench()).toMatch(/^npm run bench:latency .*\nnpm run bench:fanout .*\n/m);
	expect(await bench("nothing")).toMatch(/exit 2$/);
});

it("latency: prints percentiles of both servers, and loses nothing", { timeout: 60_000 }, async () => {
	const printed = await bench("latency", ...SHORT);
	expect(printed).toMatch(/^case .* p50 ms +p90 ms +p99 ms .* cpu µs /m);
	// 20 clients, 100 messages a second for 0.2 s; then 10 channels of 2 clients.
	expect(printed).toMatch(/^1 channel × 20 +tidewire +400 +0 +[\d.]+ /m);
	expect(printed).toMatch(/^1 channel × 20 +ws +400 +0 +[\d.]+ /m);
	expect(printed).toMatch(/^10 channels × 2 +tidewire +400 +0 +[\d.]+ /m);
	expect(printed).toMatch(/exit 0$/);
});

it("fanout: prints CPU per delivery of both servers", { timeout: 60_000 }, async () => {
	const printed = await bench("fanout", ...SHORT);
	expect(printed).toMatch(/^1 message a turn +tidewire +\d+ +[\d.]+ /m);
	expect(printed).toMatch(/^bursts of 20 +ws +\d+ +[\d.]+ /m);
	expect(printed).toMatch(/exit 0$/);
});
