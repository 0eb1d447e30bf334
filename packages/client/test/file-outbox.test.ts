/** An outbox in a file: what a process that is killed leaves, and who may have it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileStore } from "../src/outbox/node.ts";

let folder: string;
let path: string;

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "tidewire-outbox-"));
	path = join(folder, "outbox");
});

afterEach(() => rmSync(folder, { recursive: true }));

const NODE = new URL("../src/outbox/node.ts", import.meta.url).href;

/** A process of its own that has the file, says so, and then writes what it is told. */
function start(script: string): { line(): Promise<string>; kill(): Promise<void> } {
	const child = spawn(process.execPath, [
		"--conditions=tidewire-source",
		"--input-type=module",
		"--eval",
		`import { fileStore } from ${JSON.stringify(NODE)}; const store = fileStore(${JSON.stringify(path)}); ${script}`,
	]);
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	return {
		line: async () => (await lines.next()).value as string,
		async kill() {
			const gone = once(child, "exit");
			child.kill("SIGKILL");
			await gone;
		},
	};
}

describe("a file", () => {
	it("has what was written before the process was killed", async () => {
		const child = start(`
			await store.load();
			await store.write(new Map([["a", { n: 1 }], ["b", 2]]));
			await store.write(new Map([["b", undefined], ["c", 3]]));
			console.log("written");
			setInterval(() => {}, 1_000);
		`);
		expect(await child.line()).toBe("written");
		await expect(fileStore(path).load()).rejects.toThrow("belongs to process");
		await child.kill();
		const store = fileStore(path);
		expect([...(await store.load())]).toEqual([
			["a", { n: 1 }],
			["c", 3],
		]);
		store.close();
		expect(existsSync(`${path}.lock`)).toBe(false);
	});

	it("loses of a line that was being written only that line", async () => {
		const store = fileStore(path);
		await store.load();
		await store.write(new Map([["a", 1]]));
		store.close();
		appendFileSync(path, '[["b",2');
		const next = fileStore(path);
		expect([...(await next.load())]).toEqual([["a", 1]]);
		await next.write(new Map([["c", 3]]));
		next.close();
		expect([...(await fileStore(path).load())]).toEqual([
			["a", 1],
			["c", 3],
		]);
	});

	it("is written anew when most of it is past: it does not grow for ever", async () => {
		const store = fileStore(path);
		await store.load();
		const large = "x".repeat(100_000);
		for (let count = 0; count < 40; count += 1) {
			await store.write(new Map([["a", `${large}${count}`]]));
		}
		store.close();
		expect(readFileSync(path).length).toBeLessThan(1_500_000);
		expect((await fileStore(path).load()).get("a")).toBe(`${large}39`);
	});

	it("belongs to one at a time, in this process too", async () => {
		const store = fileStore(path);
		await store.load();
		await expect(fileStore(path).load()).rejects.toThrow("belongs to process");
		store.close();
		await fileStore(path).load();
	});

	it("whose lock a process left that is gone, or had this one's number before it, can be had", async () => {
		for (const pid of [String(process.pid), "4194303"]) {
			writeFileSync(`${path}.lock`, pid);
			const store = fileStore(path);
			await store.load();
			store.close();
		}
	});

	it("is for its owner's eyes only", async () => {
		const store = fileStore(path);
		await store.load();
		expect(statSync(path).mode & 0o077).toBe(0);
		store.close();
	});
});
