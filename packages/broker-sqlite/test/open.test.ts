/** What may be opened, by whom, and what is refused without being touched. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteBrokerError } from "../src/error.ts";
import { createSqliteBroker } from "../src/sqlite-broker.ts";
import { makePath } from "./files.ts";
import { json, KEEP_ALL, ofSize, open, publish, readTexts, refusal } from "./machine.ts";

function refused(open: () => unknown): SqliteBrokerError {
	try {
		open();
	} catch (error) {
		expect(error).toBeInstanceOf(SqliteBrokerError);
		return error as SqliteBrokerError;
	}
	throw new Error("it was opened");
}

describe("a file", () => {
	it("is made for its owner's eyes only, and so is what stands beside it", async () => {
		const path = makePath();
		const broker = createSqliteBroker({ path });
		await publish(broker, "a", json("1"));
		for (const file of [path, `${path}-wal`, `${path}-owner`]) {
			expect(statSync(file).mode & 0o777, file).toBe(0o600);
		}
		await broker.close();
		expect(existsSync(`${path}-wal`)).toBe(false);
		expect(existsSync(`${path}-owner`)).toBe(false);
	});

	it("in a folder that does not exist cannot be opened, and the folder is not made", () => {
		const path = join(makePath(), "deeper.db");
		expect(refused(() => open({ path }))).toMatchObject({ code: "unusable" });
		expect(existsSync(dirname(path))).toBe(false);
	});

	it("that is a folder cannot be opened", () => {
		expect(refused(() => open({ path: dirname(makePath()) }))).toMatchObject({ code: "unusable" });
	});

	it("of another program is left as it was", () => {
		const path = makePath();
		const other = new DatabaseSync(path);
		other.exec("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')");
		other.close();
		const before = readFileSync(path);
		expect(refused(() => open({ path }))).toMatchObject({ code: "foreign", message: /another program/ });
		expect(readFileSync(path).equals(before)).toBe(true);
	});

	it("that is no database is left as it was", () => {
		const path = makePath();
		writeFileSync(path, "Dear diary, ".repeat(200));
		expect(refused(() => open({ path }))).toMatchObject({ code: "foreign", message: /not a SQLite file/ });
		expect(readFileSync(path, "utf8")).toMatch(/^Dear diary/);
	});

	it("of a newer version is refused by its number", async () => {
		const path = makePath();
		await open({ path }).close();
		const later = new DatabaseSync(path);
		later.exec("PRAGMA user_version = 7");
		later.close();
		expect(refused(() => open({ path }))).toMatchObject({ code: "newer", message: /schema 7/ });
	});

	it("that is empty, as after a power cut in its first moment, is a new one", async () => {
		const path = makePath();
		writeFileSync(path, "");
		const cluster = open({ path });
		expect((await publish(cluster.node(), "a", json("1"))).offset).toBe(1);
		await cluster.close();
	});

	it("whose head is damaged is refused, and not replaced by a new one", async () => {
		const path = makePath();
		await open({ path }).close();
		const bytes = readFileSync(path);
		bytes.fill(0xaa, 100, 4096);
		writeFileSync(path, bytes);
		expect(refused(() => open({ path }))).toMatchObject({ code: "corrupt", message: /damaged/ });
		expect(readFileSync(path).equals(bytes)).toBe(true);
	});

	it("that was cut short is refused when it is opened or as soon as the damage is met, and takes nothing more", async () => {
		const path = makePath();
		const first = open({ path });
		const node = first.node();
		for (let count = 0; count < 50; count++) {
			await publish(node, "a", ofSize(5_000), { retention: KEEP_ALL });
		}
		await first.close();
		truncateSync(path, Math.floor(statSync(path).size / 2 / 4096) * 4096);
		expect(refused(() => open({ path }))).toMatchObject({ code: "corrupt" });
	});

	it("whose pages are garbage in the middle refuses everything from the moment that is met", async () => {
		const path = makePath();
		const first = open({ path });
		for (let count = 0; count < 200; count++) {
			await publish(first.node(), "a", ofSize(500), { retention: KEEP_ALL });
		}
		await first.close();
		const bytes = readFileSync(path);
		bytes.fill(0xaa, 16 * 4096);
		writeFileSync(path, bytes);
		const second = open({ path });
		const node = second.node();
		const reason = await refusal(node.read("a", { after: 0, limit: 1_000 }));
		expect(reason).toMatchObject({ code: "unavailable", message: /malformed/ });
		expect(await refusal(publish(node, "b", json("1")))).toMatchObject({ code: "unavailable" });
		await second.close();
	});

	it.each([
		["a path that is none", { path: "" }],
		["a database in memory", { path: ":memory:" }],
		["an unknown durability", { path: "x", synchronous: "off" as "full" }],
		["a bound that is no number", { path: "x", maxBytes: Number.NaN }],
	])("is not opened with %s", (_what, options) => {
		expect(refused(() => createSqliteBroker(options))).toMatchObject({ code: "bad_option" });
	});
});

describe("one owner at a time", () => {
	it("refuses a second one in this process, by path and process", async () => {
		const path = makePath();
		const first = open({ path });
		const reason = refused(() => open({ path }));
		expect(reason).toMatchObject({ code: "locked" });
		expect(reason.message).toContain(`${path} is in use by process ${process.pid} on `);
		// The attempt took nothing from the owner.
		await publish(first.node(), "a", json("1"));
		expect(refused(() => open({ path }))).toMatchObject({ code: "locked" });
		await first.close();
		await open({ path }).close();
	});

	it("refuses another process while the owner lives, and takes over at once after its kill -9", async () => {
		const path = makePath();
		const owner = spawn(process.execPath, [
			"--conditions=tidewire-source",
			join(import.meta.dirname, "crash-publisher.ts"),
			path,
			"full",
		]);
		onTestFinished(() => void owner.kill("SIGKILL"));
		await once(owner.stdout, "data");
		expect(refused(() => open({ path }))).toMatchObject({
			code: "locked",
			message: expect.stringContaining(`process ${owner.pid} on `),
		});
		owner.kill("SIGKILL");
		await once(owner, "exit");
		const cluster = open({ path });
		expect((await readTexts(cluster.node(), "crash-0")).length).toBeGreaterThan(0);
		await cluster.close();
	});
});
