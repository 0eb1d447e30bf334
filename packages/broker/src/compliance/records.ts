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
	},
	"a value of 64 KiB is kept, a larger one and a key over 512 bytes are invalid": async ({ broker: { records } }) => {
		await records.set("k", new Uint8Array(65_536).fill(7), MINUTE_MS);
		same((await records.get("k"))!.byteLength, 65_536, "size");
		await refused("invalid", () => records.set("k", new Uint8Array(65_537), MINUTE_MS));
		await refused("invalid", () => records.set("ü".repeat(257), new Uint8Array(1), MINUTE_MS));
		await refused("invalid", () => records.get("k".repeat(513)));
		await refused("invalid", () => records.set("k", new Uint8Array(1), Number.NaN));
		same((await records.get("k"))!.byteLength, 65_536, "untouched");
	},
};
