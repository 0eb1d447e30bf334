/** The small records: sessions, replies, leases. */
import { bytesOf, refused, same, textOf } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

const MINUTE_MS = 60_000;

export const recordCases: CaseTable = {
	"a record is there until deleted": async ({ broker: { records } }) => {
		same(textOf(await records.get("k")), undefined, "before");
		await records.set("k", bytesOf("1"), MINUTE_MS);
		same(textOf(await records.get("k")), "1", "set");
		await records.set("k", bytesOf("2"), MINUTE_MS);
		same(textOf(await records.get("k")), "2", "set again");
		await records.delete("k");
		await records.delete("never");
		same(textOf(await records.get("k")), undefined, "deleted");
	},
	"a record is seen by every node": async ({ broker, node }) => {
		const other = await node();
		await broker.records.set("k", bytesOf("1"), MINUTE_MS);
		same(textOf(await other.records.get("k")), "1", "at the other node");
	},
	"a record ends after its time, and setting it anew starts the time anew": async ({
		broker: { records },
		advance,
	}) => {
		await records.set("k", bytesOf("1"), 1_000);
		await advance!(600);
		same(textOf(await records.get("k")), "1", "in time");
		await records.set("k", bytesOf("1"), 1_000);
		await advance!(600);
		same(textOf(await records.get("k")), "1", "renewed");
		await advance!(600);
		same(textOf(await records.get("k")), undefined, "ended");
		same(textOf(await records.setIfAbsent("k", bytesOf("2"), 1_000)), undefined, "absent again");
	},
	"setIfAbsent sets once and gives what is there": async ({ broker: { records } }) => {
		same(textOf(await records.setIfAbsent("k", bytesOf("1"), MINUTE_MS)), undefined, "first");
		same(textOf(await records.setIfAbsent("k", bytesOf("2"), MINUTE_MS)), "1", "second");
		same(textOf(await records.get("k")), "1", "value");
	},
	"of setIfAbsent calls that race, one sets": async ({ broker, node }) => {
		const other = await node();
		const present = await Promise.all(
			["0", "1", "2", "3", "4", "5"].map((value, index) =>
				(index % 2 ? broker : other).records.setIfAbsent("k", bytesOf(value), MINUTE_MS),
			),
		);
		const value = textOf(await broker.records.get("k"));
		same(present.filter((each) => each === undefined).length, 1, "winners");
		same(present.filter((each) => textOf(each) === value).length, 5, "losers that saw the winner's value");
	},
	"replace puts a value in the place of the one expected, and of no other": async ({ broker: { records } }) => {
		await records.set("k", bytesOf("one"), MINUTE_MS);
		for (const wrong of ["two", "on", "onee", "onE", "", undefined]) {
			const expected = wrong === undefined ? undefined : bytesOf(wrong);
			same(await records.replace("k", expected, bytesOf("new"), MINUTE_MS), false, `expected ${wrong}`);
			same(await records.replace("k", expected, undefined, MINUTE_MS), false, `expected ${wrong}, to delete`);
		}
		same(textOf(await records.get("k")), "one", "untouched");
		same(await records.replace("k", bytesOf("one"), bytesOf("two"), MINUTE_MS), true, "expected one");
		same(textOf(await records.get("k")), "two", "replaced");
		same(await records.replace("k", bytesOf("two"), bytesOf("two"), MINUTE_MS), true, "by itself");
	},
	"replace of undefined sets only where there is nothing": async ({ broker: { records } }) => {
		same(await records.replace("k", bytesOf("one"), bytesOf("two"), MINUTE_MS), false, "expected one");
		same(await records.replace("k", bytesOf(""), bytesOf("two"), MINUTE_MS), false, "expected no bytes");
		same(textOf(await records.get("k")), undefined, "still nothing");
		same(await records.replace("k", undefined, bytesOf("one"), MINUTE_MS), true, "expected nothing");
		same(textOf(await records.get("k")), "one", "set");
		same(await records.replace("k", undefined, bytesOf("two"), MINUTE_MS), false, "expected nothing again");
		same(textOf(await records.get("k")), "one", "untouched");
	},
	"replace by undefined deletes only what is expected": async ({ broker: { records } }) => {
		await records.set("k", bytesOf("one"), MINUTE_MS);
		same(await records.replace("k", bytesOf("two"), undefined, 0), false, "expected two");
		same(textOf(await records.get("k")), "one", "untouched");
		same(await records.replace("k", bytesOf("one"), undefined, 0), true, "expected one");
		same(textOf(await records.get("k")), undefined, "deleted");
		same(await records.replace("k", bytesOf("one"), undefined, 0), false, "deleted before");
	},
	"replace of undefined by undefined says whether there is nothing": async ({ broker: { records } }) => {
		same(await records.replace("k", undefined, undefined, 0), true, "nothing");
		same(textOf(await records.get("k")), undefined, "still nothing");
		await records.set("k", bytesOf("one"), MINUTE_MS);
		same(await records.replace("k", undefined, undefined, 0), false, "something");
		same(textOf(await records.get("k")), "one", "untouched");
	},
	"a value of no bytes is a value": async ({ broker: { records } }) => {
		same(await records.replace("k", undefined, bytesOf(""), MINUTE_MS), true, "set where there is nothing");
		same(textOf(await records.get("k")), "", "value");
		same(await records.replace("k", undefined, bytesOf("one"), MINUTE_MS), false, "expected nothing");
		same(textOf(await records.setIfAbsent("k", bytesOf("one"), MINUTE_MS)), "", "setIfAbsent");
		same((await records.list("", { limit: 10 })).length, 1, "listed");
		same(await records.replace("k", bytesOf(""), bytesOf("one"), MINUTE_MS), true, "expected no bytes");
		same(textOf(await records.get("k")), "one", "replaced");
	},
	"a replaced record's time starts anew, a refused one's goes on": async ({ broker: { records }, advance }) => {
		await records.set("k", bytesOf("1"), 1_000);
		await records.set("other", bytesOf("1"), 1_000);
		await advance!(600);
		same(await records.replace("k", bytesOf("1"), bytesOf("2"), 1_000), true, "replaced in time");
		same(await records.replace("other", bytesOf("2"), bytesOf("1"), 1_000), false, "refused");
		await advance!(600);
		same(textOf(await records.get("k")), "2", "its time started anew");
		same(textOf(await records.get("other")), undefined, "its time went on");
	},
	"a record that has ended is nothing to replace and list": async ({ broker: { records }, advance }) => {
		await records.set("k", bytesOf("1"), 1_000);
		await records.set("l", bytesOf("1"), 1_001);
		await advance!(1_000);
		same(
			(await records.list("", { limit: 1 })).map(({ key }) => key),
			["l"],
			"list",
		);
		same(await records.replace("k", bytesOf("1"), bytesOf("2"), 1_000), false, "expected the value that ended");
		same(await records.replace("k", undefined, bytesOf("2"), 1_000), true, "expected nothing");
	},
	"of replace calls that race on one value, one replaces": async ({ broker, node }) => {
		const other = await node();
		await broker.records.set("k", bytesOf("before"), MINUTE_MS);
		const values = ["0", "1", "2", "3", "4", "5"];
		const replaced = await Promise.all(
			values.map((value, index) =>
				(index % 2 ? broker : other).records.replace("k", bytesOf("before"), bytesOf(value), MINUTE_MS),
			),
		);
		same(replaced.filter((each) => each).length, 1, "winners");
		same(textOf(await broker.records.get("k")), values[replaced.indexOf(true)], "value");
	},
	"a list has the records that begin with a prefix, ascending by key, with their values": async ({ broker, node }) => {
		const keys = ["p:b", "p:a", "p:", "p:aa", "p:10", "p:9", "p", "q", "P:a", "", "p%", "o"];
		for (const key of keys) {
			await broker.records.set(key, bytesOf(`value of ${key}`), MINUTE_MS);
		}
		await broker.records.set("p:gone", bytesOf("1"), MINUTE_MS);
		await broker.records.delete("p:gone");
		for (const { records } of [broker, await node()]) {
			for (const prefix of ["", "p", "p:", "P", "p:a", "p%", "p_", "%", "*", "p:9", "r"]) {
				const listed = await records.list(prefix, { limit: 100 });
				const expected = keys.filter((key) => key.startsWith(prefix)).sort();
				same(
					listed.map(({ key, value }) => [key, textOf(value)]),
					expected.map((key) => [key, `value of ${key}`]),
					`records with "${prefix}"`,
				);
			}
		}
	},
	"a list goes on after a key, which need not be there, and is at most as long as its limit": async ({
		broker: { records },
	}) => {
		for (const key of ["o", "p:1", "p:2", "p:3", "q"]) {
			await records.set(key, bytesOf(key), MINUTE_MS);
		}
		const keys = async (options: { after?: string; limit: number }): Promise<string[]> =>
			(await records.list("p:", options)).map(({ key }) => key);
		same(await keys({ limit: 0 }), [], "limit 0");
		same(await keys({ limit: 2 }), ["p:1", "p:2"], "limit 2");
		same(await keys({ after: "p:2", limit: 2 }), ["p:3"], "the next page");
		same(await keys({ after: "p:1", limit: 1 }), ["p:2"], "one after the first");
		same(await keys({ after: "p:15", limit: 9 }), ["p:2", "p:3"], "after a key not there");
		same(await keys({ after: "o", limit: 9 }), ["p:1", "p:2", "p:3"], "after a key before the prefix");
		same(await keys({ after: "q", limit: 9 }), [], "after a key past the prefix");
	},
	"pages of a list have keys of every kind once": async ({ broker: { records } }) => {
		const keys = ["\u{1f697}", "\u{1f697}\u{1f697}", "\uff5e", "\ue000", "\ufffd", "a", "\ud7ff", "__proto__"];
		for (const key of keys) {
			await records.set(key, bytesOf(key), MINUTE_MS);
		}
		const seen: string[] = [];
		for (let after: string | undefined; seen.length <= keys.length; after = seen.at(-1)) {
			const [next] = await records.list("", { limit: 1, ...(after !== undefined && { after }) });
			if (next === undefined) {
				break;
			}
			seen.push(next.key);
		}
		same(seen.sort(), [...keys].sort(), "keys");
	},
	"a list of many records is found page by page": async ({ broker: { records } }) => {
		const keys = Array.from({ length: 1_200 }, (_, index) => `p:${(index * 7) % 1_200}`);
		await Promise.all(keys.map((key) => records.set(key, bytesOf(key), MINUTE_MS)));
		const seen: string[] = [];
		for (let page = 0; page < 13; page++) {
			const after = seen.at(-1);
			const listed = await records.list("p:", { limit: 100, ...(after !== undefined && { after }) });
			seen.push(...listed.map(({ key }) => key));
		}
		same(seen, [...keys].sort(), "keys");
	},
	"keys mean nothing but themselves, and values are any bytes": async ({ broker: { records } }) => {
		const keys = ["", "__proto__", "a:b", "{x}", "*", "🚗", "k".repeat(512)];
		for (const key of keys) {
			await records.set(key, Uint8Array.of(0, 255, key.length % 256), MINUTE_MS);
		}
		for (const key of keys) {
			same([...(await records.get(key))!], [0, 255, key.length % 256], `value of ${key}`);
		}
	},
	"the value is the one of the moment it was set": async ({ broker: { records } }) => {
		const value = bytesOf("1");
		await records.set("k", value, MINUTE_MS);
		value[0] = 0;
		same(textOf(await records.get("k")), "1", "value");
		const next = bytesOf("2");
		same(await records.replace("k", bytesOf("1"), next, MINUTE_MS), true, "replaced");
		next[0] = 0;
		same(textOf(await records.get("k")), "2", "value after replace");
	},
	"a value of 64 KiB is kept, a larger one and a key over 512 bytes are invalid": async ({ broker: { records } }) => {
		await records.set("k", new Uint8Array(65_536).fill(7), MINUTE_MS);
		same((await records.get("k"))!.byteLength, 65_536, "size");
		await refused("invalid", () => records.set("k", new Uint8Array(65_537), MINUTE_MS));
		await refused("invalid", () => records.set("ü".repeat(257), new Uint8Array(1), MINUTE_MS));
		await refused("invalid", () => records.get("k".repeat(513)));
		await refused("invalid", () => records.set("k", new Uint8Array(1), Number.NaN));
		const value = new Uint8Array(1);
		await refused("invalid", () => records.replace("k", undefined, new Uint8Array(65_537), MINUTE_MS));
		await refused("invalid", () => records.replace("k".repeat(513), undefined, value, MINUTE_MS));
		await refused("invalid", () => records.replace("k", "text" as unknown as Uint8Array, value, MINUTE_MS));
		await refused("invalid", () => records.replace("absent", undefined, value, 0));
		await refused("invalid", () => records.list("k".repeat(513), { limit: 1 }));
		await refused("invalid", () => records.list("k", { limit: -1 }));
		same((await records.get("k"))!.byteLength, 65_536, "untouched");
	},
};
