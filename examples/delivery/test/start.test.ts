/** `npm start` as a program among programs: how it begins, brings back and ends what it runs. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { runs, Show } from "./show.ts";

let show: Show | undefined;

afterEach(async () => {
	await show?.stop();
	show = undefined;
});

async function start(...args: readonly string[]): Promise<Show> {
	show = await Show.start(...args);
	return show;
}

const pidsOf = (running: Show): Promise<readonly number[]> =>
	Promise.all([running.pid("gateway"), running.pid("pages"), running.pid("driver")]);

describe("npm start", () => {
	it("ends cleanly on Ctrl-C and leaves no program behind", async () => {
		const running = await start();
		const pids = await pidsOf(running);
		expect(pids.map(runs)).toEqual([true, true, true]);
		running.child.kill("SIGINT");
		expect(await running.ended()).toEqual({ code: 0, signal: null });
		expect(pids.map(runs)).toEqual([false, false, false]);
	});

	it("takes a Ctrl-C that arrives twice at once, from the terminal and from npm, for one", async () => {
		const running = await start();
		running.child.kill("SIGINT");
		running.child.kill("SIGINT");
		expect(await running.ended()).toEqual({ code: 0, signal: null });
	});

	it("leaves no program behind even when it is killed with -9", async () => {
		const running = await start();
		const pids = await pidsOf(running);
		running.child.kill("SIGKILL");
		await running.ended();
		await vi.waitFor(() => expect(pids.map(runs)).toEqual([false, false, false]), { timeout: 10_000 });
	});

	it.each(["gateway", "pages", "driver"] as const)("brings the %s back when it is killed", async (program) => {
		const running = await start();
		process.kill(await running.pid(program), "SIGKILL");
		await running.line(new RegExp(`${program} *\\| ended \\(SIGKILL\\); starting it again`));
		expect(runs(await running.pid(program, 1))).toBe(true);
	});

	it("answers a request target that is no URL, and the pages stay", async () => {
		const running = await start();
		const [, port] = await running.line(/Inbox +http:\/\/127\.0\.0\.1:(\d+)/);
		const target = { host: "127.0.0.1", port: Number(port), path: "//" };
		const answer = await new Promise<IncomingMessage>((resolve, reject) => get(target, resolve).on("error", reject));
		expect(answer.resume().statusCode).toBe(400);
	});

	it.each(["--port", "--pages-port"])("says so when the port of %s is taken", async (option) => {
		const owner = createServer().listen(0, "127.0.0.1");
		await once(owner, "listening");
		const { port } = owner.address() as AddressInfo;
		try {
			show = new Show("--port", "0", "--pages-port", "0", option, String(port));
			await show.line(new RegExp(`Port ${port} on 127.0.0.1 is taken by another program`));
			expect(await show.ended()).toEqual({ code: 1, signal: null });
		} finally {
			owner.close();
		}
	});

	it.each([
		["--speed", "0"],
		["--port", "65536"],
		["--interval", "soon"],
		["--sped", "2"],
	])("refuses %s %s and shows how it is used", async (option, value) => {
		show = new Show(option, value);
		await show.line(/^usage: npm start/);
		expect(await show.ended()).toEqual({ code: 2, signal: null });
	});
});
