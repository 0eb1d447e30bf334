/** `tidewire serve --broker sqlite:PATH`: what it accepted is there for whoever takes the file over. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type Running, start } from "./running.ts";

async function serve(file: string): Promise<{ gateway: Running; url: string }> {
	const gateway = start(["serve", "--port", "0", "--dev", "--broker", `sqlite:${file}`]);
	const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
	return { gateway, url };
}

async function pub(url: string): Promise<string> {
	const { stdout, code } = await start(["pub", url, "order_123", "1"]).ended;
	expect(code).toBe(0);
	return stdout.trim();
}

function makePath(): string {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-serve-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	return join(folder, "channels.db");
}

it("goes on at the same positions after a kill -9, at once", async () => {
	const file = makePath();
	const { gateway, url } = await serve(file);
	const [epoch, offset] = (await pub(url)).split(":");
	expect(offset).toBe("1");
	await gateway.kill("SIGKILL");
	const { gateway: next, url: again } = await serve(file);
	expect(next.stdout).toMatch(/^Broker: .*channels\.db, so what is accepted survives/m);
	expect(await pub(again)).toBe(`${epoch}:2`);
	expect(await next.kill("SIGTERM")).toMatchObject({ code: 0 });
});

it("refuses a file that a living server owns, and says which", async () => {
	const file = makePath();
	await serve(file);
	const { code, stderr } = await start(["serve", "--port", "0", "--broker", `sqlite:${file}`]).ended;
	expect(code).toBe(1);
	expect(stderr).toMatch(/channels\.db is in use by process \d+ on /);
});
