import { describe, expect, it } from "vitest";
import {
	Audience,
	COUNT_EVERY_MS,
	COUNTS_ABOVE,
	MAX_BEHIND,
	NAMES_UP_TO,
	TELL_EVERY_MS,
} from "../../src/presence/audience.ts";
import { Roster } from "../../src/presence/roster.ts";
import { ENVELOPED, FakeConnection, PLAIN } from "./fakes.ts";

class Stage {
	readonly roster = new Roster();
	readonly audience = new Audience("chat:lobby", this.roster);
	nowMs = 0;
	#stamps = 0;

	watch(session: string, encoding = ENVELOPED) {
		const connection = new FakeConnection(session, encoding);
		return { connection, watcher: this.audience.add(connection) };
	}

	come(id: string, data?: string): void {
		this.roster.put({ id, user: id, data, sinceMs: 0, owner: "n", stamp: ++this.#stamps });
	}

	comeAll(count: number, prefix = "s"): void {
		for (let number = 0; number < count; number++) {
			this.come(`${prefix}${number}`);
		}
	}

	go(id: string): void {
		this.roster.remove(id);
	}

	tell(ms = TELL_EVERY_MS): number | undefined {
		this.nowMs += ms;
		return this.audience.tell(this.nowMs);
	}
}

describe("who watches is told the difference between what it knows and what is", () => {
	it("who comes and goes between two tellings was never there; who goes and comes was never away", () => {
		const stage = new Stage();
		stage.come("ann");
		const { connection } = stage.watch("w");
		stage.come("bob");
		stage.go("bob");
		stage.go("ann");
		stage.come("ann");
		stage.tell();
		expect(connection.heard()).toEqual([]);
	});

	it("at most every 100 ms, and says when it wants to be called again", () => {
		const stage = new Stage();
		const { connection } = stage.watch("w");
		stage.come("ann");
		expect(stage.tell()).toBeUndefined();
		stage.come("bob");
		expect(stage.tell(30)).toBe(70);
		expect(connection.heard()).toEqual(["join ann"]);
		stage.tell(70);
		expect(connection.heard()).toEqual(["join bob"]);
	});

	it("a blocked watcher costs nothing, and gets what has become of it all when it takes more", () => {
		const stage = new Stage();
		stage.come("ann");
		stage.come("bob");
		const { connection, watcher } = stage.watch("w");
		const other = stage.watch("o");
		connection.blocked = true;
		stage.go("ann");
		stage.tell();
		stage.come("cat");
		stage.come("bob", "1");
		stage.tell();
		stage.come("ann");
		stage.come("bob", "2");
		stage.go("cat");
		stage.tell();
		expect(other.connection.heard()).toEqual([
			"leave ann",
			"join cat",
			"update bob 1",
			"join ann",
			"update bob 2",
			"leave cat",
		]);
		connection.blocked = false;
		stage.audience.catchUp(watcher);
		expect(connection.heard()).toEqual(["update bob 2"]);
		stage.come("dan");
		stage.tell();
		expect(connection.heard()).toEqual(["join dan"]);
	});

	it("who asks in the middle of a turn is told before the others, and nothing twice", () => {
		const stage = new Stage();
		const asker = stage.watch("a");
		const other = stage.watch("o");
		stage.come("ann");
		stage.audience.catchUp(asker.watcher);
		expect(asker.connection.heard()).toEqual(["join ann"]);
		stage.come("bob");
		stage.go("ann");
		stage.tell();
		expect(asker.connection.heard().sort()).toEqual(["join bob", "leave ann"]);
		expect(other.connection.heard()).toEqual(["join bob"]);
	});

	it("who never reads is not remembered for ever: it has to ask anew", () => {
		const stage = new Stage();
		const { connection, watcher } = stage.watch("w");
		connection.blocked = true;
		for (let number = 0; number <= MAX_BEHIND; number++) {
			stage.come("ann", `${number}`);
			stage.tell();
		}
		expect(watcher.next).toBeUndefined();
		connection.blocked = false;
		stage.audience.catchUp(watcher);
		expect(connection.heard()).toEqual(["count 1 anew"]);
		stage.come("bob");
		stage.tell();
		expect(connection.heard()).toEqual(["join bob"]);
	});
});

describe("large channels", () => {
	it("above 1,000 members only the count is told, at most once a second, and names again at 800", () => {
		const stage = new Stage();
		const { connection } = stage.watch("w");
		stage.comeAll(COUNTS_ABOVE);
		stage.tell();
		expect(connection.heard()).toHaveLength(COUNTS_ABOVE);
		stage.come("one too many");
		stage.tell();
		expect(connection.heard()).toEqual(["count 1001"]);
		stage.come("another");
		expect(stage.tell(100)).toBe(COUNT_EVERY_MS - 100);
		expect(connection.heard()).toEqual([]);
		stage.tell(900);
		expect(connection.heard()).toEqual(["count 1002"]);
		for (let number = 0; number < 190; number++) {
			stage.go(`s${number}`);
		}
		stage.tell(1_000);
		expect(connection.heard()).toEqual(["count 812"]);
		for (let number = 190; stage.roster.size > NAMES_UP_TO; number++) {
			stage.go(`s${number}`);
		}
		stage.tell(1_000);
		expect(connection.heard()).toEqual(["count 800 anew"]);
		stage.come("s0");
		stage.tell(1_000);
		expect(connection.heard()).toEqual(["join s0"]);
	});

	it("who begins to watch one is told the count, who is slow the last one", () => {
		const stage = new Stage();
		stage.comeAll(1_500);
		const { connection } = stage.watch("w");
		const plain = stage.watch("p", PLAIN);
		expect(connection.heard()).toEqual(["count 1500"]);
		expect(plain.connection.told()).toEqual([{ type: "user_count", count: 1500 }]);
		connection.blocked = true;
		stage.comeAll(100, "t");
		expect(stage.tell(1_000)).toBe(COUNT_EVERY_MS);
		stage.comeAll(100, "u");
		stage.tell(1_000);
		connection.blocked = false;
		stage.tell(1_000);
		expect(connection.heard()).toEqual(["count 1700"]);
	});

	it("1,000 joins a second where 10,000 are: the bytes of a count a second for each who watches (S39)", () => {
		const stage = new Stage();
		stage.comeAll(10_000);
		const { connection } = stage.watch("w");
		const before = connection.bytes;
		for (let number = 0; number < 1_000; number++) {
			stage.come(`late${number}`);
			stage.tell(1);
		}
		expect(connection.bytes - before).toBeLessThan(200);
	});
});
