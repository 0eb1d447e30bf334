/** What a channel's log keeps, counts and gives back. */
import { bytesOf, claim, json, KEEP, publish, publishAs, read, refused, same, texts } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

async function publishAll(broker: Parameters<typeof publish>[0], channel: string, values: readonly string[]) {
	const offsets: number[] = [];
	for (const value of values) {
		offsets.push((await publish(broker, channel, value)).offset);
	}
	return offsets;
}

const TEN = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

export const logCases: CaseTable = {
	"an unknown channel is an empty log": async ({ broker }) => {
		const page = await read(broker, "nobody");
		same([page.head, page.tail, page.entries], [0, 0, []], "page");
		claim(page.epoch.length > 0 && !page.epoch.includes(":"), "an epoch is a text without a colon");
	},
	"reading does not change the epoch that follows": async ({ broker }) => {
		const page = await read(broker, "quiet");
		same((await publish(broker, "quiet", "1")).epoch, page.epoch, "epoch");
	},
	"offsets ascend under one epoch": async ({ broker }) => {
		const positions = [
			await publish(broker, "a", "1"),
			await publish(broker, "a", "2"),
			await publish(broker, "a", "3"),
		];
		same(new Set(positions.map((position) => position.epoch)).size, 1, "epochs");
		claim(positions[0]!.offset < positions[1]!.offset && positions[1]!.offset < positions[2]!.offset, "not ascending");
	},
	"offsets are dense from 1, or each entry names the one before": async ({ broker }) => {
		await publishAll(broker, "a", TEN);
		let before = 0;
		for (const entry of (await read(broker, "a")).entries) {
			same(entry.previous ?? entry.offset - 1, before, `the entry before ${entry.offset}`);
			before = entry.offset;
		}
	},
	"channels have logs of their own": async ({ broker }) => {
		await publish(broker, "a", "1");
		const b = await publish(broker, "b", "2");
		same(texts((await read(broker, "a")).entries), ["1"], "a");
		same(texts((await read(broker, "b")).entries), ["2"], "b");
		same((await read(broker, "b")).epoch, b.epoch, "epoch");
	},
	"publishes made at once are appended in the order of the calls": async ({ broker }) => {
		await Promise.all(TEN.map((value) => publish(broker, "a", value)));
		same(texts((await read(broker, "a")).entries), TEN, "log");
	},
	"an entry comes back with everything it was published with, and the broker's time": async ({ broker }) => {
		const full = { name: "n", key: "k", from: "ann", exclude: "s1", ttlMs: 60_000, patch: true, report: "r" } as const;
		await broker.publish("a", { ...json("1"), ...full }, { retention: KEEP });
		const entry = (await read(broker, "a")).entries[0]!;
		for (const attribute of Object.keys(full) as (keyof typeof full)[]) {
			same(entry[attribute], full[attribute], attribute);
		}
		same(entry.encoding, "json", "encoding");
		claim(Number.isFinite(entry.timeMs) && entry.timeMs > 0, "timeMs");
	},
	"attributes that were not given are absent": async ({ broker }) => {
		await publish(broker, "a", "1");
		const entry = (await read(broker, "a")).entries[0]!;
		for (const attribute of ["name", "key", "from", "exclude", "ttlMs", "patch", "report"] as const) {
			same(entry[attribute], undefined, attribute);
		}
	},
	"every byte of data survives": async ({ broker }) => {
		const all = Uint8Array.from({ length: 256 }, (_, index) => index);
		await broker.publish("a", { data: all, encoding: "binary" }, { retention: KEEP });
		await broker.publish("a", { data: new Uint8Array(0), encoding: "binary" }, { retention: KEEP });
		const [first, second] = (await read(broker, "a")).entries;
		same([...first!.data], [...all], "data");
		same([first!.encoding, second!.data.byteLength], ["binary", 0], "encoding and the empty one");
	},
	"JSON text is kept as it was written": async ({ broker }) => {
		const written = '{"p":1.0,"n":12345678901234567890,"2":0,"1":0}';
		await publish(broker, "a", written);
		same(texts((await read(broker, "a")).entries), [written], "text");
	},
	"channel names mean nothing but themselves": async ({ broker }) => {
		const names = [
			"__proto__",
			"constructor",
			"{x}",
			"{x}:a",
			"a:b",
			"a b",
			"*",
			"?",
			"order_[1]",
			"%00",
			"ü",
			"u\u0308",
			"🚗",
			"a.b",
			">",
		];
		for (const name of names) {
			await publish(broker, name, JSON.stringify(name));
		}
		for (const name of names) {
			same(texts((await read(broker, name)).entries), [JSON.stringify(name)], `log of ${name}`);
		}
	},
	"a read goes forward from a position, a page at a time, without gap or overlap": async ({ broker }) => {
		await publishAll(broker, "a", TEN);
		const seen: string[] = [];
		let after = 0;
		for (;;) {
			const page = await read(broker, "a", { after, limit: 3 });
			claim(page.entries.length <= 3, "more than the limit");
			if (page.entries.length === 0) {
				break;
			}
			seen.push(...texts(page.entries));
			after = page.entries.at(-1)!.offset;
		}
		same(seen, TEN, "pages");
	},
	"a reverse read goes back from a position, newest first": async ({ broker }) => {
		const offsets = await publishAll(broker, "a", TEN);
		same(texts((await read(broker, "a", { after: Infinity, limit: 2, reverse: true })).entries), ["9", "8"], "newest");
		same(
			texts((await read(broker, "a", { after: offsets[3]!, limit: 2, reverse: true })).entries),
			["2", "1"],
			"before",
		);
		same((await read(broker, "a", { after: offsets[0]!, reverse: true })).entries, [], "before the first");
	},
	"reads at the edges are empty, not errors": async ({ broker }) => {
		const last = (await publishAll(broker, "a", TEN)).at(-1)!;
		same((await read(broker, "a", { after: last })).entries, [], "after the head");
		same((await read(broker, "a", { after: last + 1_000 })).entries, [], "beyond the head");
		same((await read(broker, "a", { limit: 0 })).entries, [], "limit 0");
		same((await read(broker, "a", { limit: 0 })).head, last, "head");
	},
	"a page ends before the entry that would exceed maxBytes, and holds at least one": async ({ broker }) => {
		await publishAll(broker, "a", ['"four"', '"four"', '"four"']);
		same((await read(broker, "a", { maxBytes: 12 })).entries.length, 2, "12 bytes");
		same((await read(broker, "a", { maxBytes: 11 })).entries.length, 1, "11 bytes");
		same((await read(broker, "a", { maxBytes: 1 })).entries.length, 1, "1 byte");
		same((await read(broker, "a", { maxBytes: 12, after: Infinity, reverse: true })).entries.length, 2, "reverse");
	},
	"retention by count keeps the newest, and the tail says from where": async ({ broker }) => {
		const offsets: number[] = [];
		for (const value of TEN) {
			offsets.push((await publish(broker, "a", value, { retention: { ...KEEP, messages: 3 } })).offset);
		}
		const page = await read(broker, "a");
		same(texts(page.entries), ["7", "8", "9"], "kept");
		same(page.head, offsets[9], "head");
		claim(page.tail >= offsets[6]! && page.tail < offsets[7]!, `tail ${page.tail} is not before the first kept`);
	},
	"retention by bytes keeps the newest": async ({ broker }) => {
		for (const value of ['"four"', '"five"', '"sixx"']) {
			await publish(broker, "a", value, { retention: { ...KEEP, bytes: 12 } });
		}
		same(texts((await read(broker, "a")).entries), ['"five"', '"sixx"'], "kept");
	},
	"an entry larger than retention by bytes is counted and not kept": async ({ broker }) => {
		const retention = { ...KEEP, bytes: 5 };
		await publish(broker, "a", "1", { retention });
		const position = await publish(broker, "a", '"too large"', { retention });
		const page = await read(broker, "a");
		same([page.entries, page.head, page.tail], [[], position.offset, position.offset], "page");
	},
	"retention by age keeps what is young": async ({ broker, advance }) => {
		const retention = { ...KEEP, ageMs: 1_000 };
		await publish(broker, "a", "1", { retention });
		await advance!(600);
		await publish(broker, "a", "2", { retention });
		same(texts((await read(broker, "a")).entries), ["1", "2"], "both young");
		await advance!(600);
		same(texts((await read(broker, "a")).entries), ["2"], "one young");
		await advance!(600);
		const page = await read(broker, "a");
		same([page.entries, page.tail], [[], page.head], "none young");
	},
	"zero retention keeps nothing but counts": async ({ broker }) => {
		const retention = { messages: 0, bytes: 0, ageMs: 0 };
		const first = await publish(broker, "a", "1", { retention });
		const second = await publish(broker, "a", "2", { retention });
		claim(second.offset > first.offset && second.epoch === first.epoch, "offsets ascend");
		const page = await read(broker, "a");
		same([page.entries, page.head, page.tail], [[], second.offset, second.offset], "page");
	},
	"epoch and head outlive the last entry": async ({ broker, advance }) => {
		const position = await publish(broker, "a", "1", { retention: { ...KEEP, ageMs: 1_000 } });
		await advance!(23 * 3_600_000);
		const page = await read(broker, "a");
		same([page.epoch, page.head, page.entries], [position.epoch, position.offset, []], "page");
		same((await publish(broker, "a", "2")).epoch, position.epoch, "epoch");
	},
	"an expired entry is absent, and its offset stays above the tail": async ({ broker, advance }) => {
		await publish(broker, "a", "1");
		const middle = await publishAs(broker, "a", { ...json("2"), ttlMs: 1_000 });
		await publish(broker, "a", "3");
		await advance!(1_000);
		const page = await read(broker, "a");
		same(texts(page.entries), ["1", "3"], "entries");
		claim(page.tail < middle.offset, "the tail passed an expired entry");
		same(texts((await read(broker, "a", { after: Infinity, reverse: true })).entries), ["3", "1"], "reverse");
	},
	"a repeat with the same idempotency key appends nothing and gets the first position": async ({ broker }) => {
		const options = { retention: KEEP, idempotencyKey: "s1:1", idempotencyMs: 1_000 };
		const position = await publish(broker, "a", "1", options);
		const again = await broker.publish("a", json("1"), options);
		same(again, { status: "accepted", position, duplicate: true }, "repeat");
		same(texts((await read(broker, "a")).entries), ["1"], "log");
	},
	"repeats that race make one entry": async ({ broker, node }) => {
		const other = await node();
		const options = { retention: KEEP, idempotencyKey: "s1:1", idempotencyMs: 1_000 };
		const results = await Promise.all(
			TEN.map((_, index) => (index % 2 ? broker : other).publish("a", json("1"), options)),
		);
		same(new Set(results.map((result) => result.status === "accepted" && result.position.offset)).size, 1, "positions");
		same(results.filter((result) => result.status === "accepted" && !result.duplicate).length, 1, "first ones");
		same(texts((await read(broker, "a")).entries), ["1"], "log");
	},
	"an idempotency key belongs to its channel": async ({ broker }) => {
		await publish(broker, "ab", "1", { idempotencyKey: "c", idempotencyMs: 1_000 });
		await publish(broker, "a", "2", { idempotencyKey: "bc", idempotencyMs: 1_000 });
		await publish(broker, "a", "3", { idempotencyKey: "c", idempotencyMs: 1_000 });
	},
	"an idempotency key is forgotten after its time": async ({ broker, advance }) => {
		await publish(broker, "a", "1", { idempotencyKey: "k", idempotencyMs: 1_000 });
		await advance!(1_000);
		await publish(broker, "a", "1", { idempotencyKey: "k", idempotencyMs: 1_000 });
	},
	"ifPosition appends only at the head": async ({ broker }) => {
		const first = await publish(broker, "a", "1");
		const second = await publish(broker, "a", "2", { ifPosition: first });
		for (const ifPosition of [first, { ...second, epoch: "other" }, { ...second, offset: second.offset + 1 }]) {
			const late = await broker.publish("a", json("3"), { retention: KEEP, ifPosition });
			same(late, { status: "conflict", position: second }, "conflict");
		}
		same(texts((await read(broker, "a")).entries), ["1", "2"], "log");
	},
	"of publishes that race on one position, one is appended": async ({ broker, node }) => {
		const other = await node();
		const ifPosition = await publish(broker, "a", "0");
		const results = await Promise.all(
			TEN.map((value, index) =>
				(index % 2 ? broker : other).publish("a", json(value), { retention: KEEP, ifPosition }),
			),
		);
		same(results.filter((result) => result.status === "accepted").length, 1, "accepted");
		same((await read(broker, "a")).entries.length, 2, "log");
	},
	"a repeat of a conditional publish gets its first position, not a conflict": async ({ broker }) => {
		const ifPosition = await publish(broker, "a", "1");
		const options = { ifPosition, idempotencyKey: "k", idempotencyMs: 1_000 };
		const position = await publish(broker, "a", "2", options);
		const again = await broker.publish("a", json("2"), { retention: KEEP, ...options });
		same(again, { status: "accepted", position, duplicate: true }, "repeat");
	},
	"a conflict does not use the idempotency key up": async ({ broker }) => {
		const first = await publish(broker, "a", "1");
		const options = { idempotencyKey: "k", idempotencyMs: 1_000 };
		await broker.publish("a", json("2"), {
			retention: KEEP,
			...options,
			ifPosition: { ...first, offset: first.offset + 1 },
		});
		await publish(broker, "a", "2", { ...options, ifPosition: first });
	},
	"afterKey appends only behind what was accepted under that key in the channel": async ({ broker, node }) => {
		const first = { idempotencyKey: "s:1", idempotencyMs: 60_000 };
		const second = { idempotencyKey: "s:2", idempotencyMs: 60_000, afterKey: "s:1" };
		await publish(broker, "other", "1", first);
		const early = await broker.publish("a", json("2"), { retention: KEEP, ...second });
		same([early.status, early.status === "conflict" && early.early], ["conflict", true], "before it");
		const { epoch } = await publish(broker, "a", "1", first);
		await publish(await node(), "a", "2", second);
		const again = await broker.publish("a", json("2"), { retention: KEEP, ...second, afterKey: "nobody's" });
		same(again, { status: "accepted", position: { epoch, offset: 2 }, duplicate: true }, "repeat");
		same(texts((await read(broker, "a")).entries), ["1", "2"], "log");
	},
	"publishes made at once that name each other are appended in order": async ({ broker }) => {
		const results = await Promise.all(
			TEN.map((value, index) =>
				broker.publish("a", json(value), {
					retention: KEEP,
					idempotencyKey: `s:${index}`,
					...(index > 0 && { afterKey: `s:${index - 1}` }),
				}),
			),
		);
		same(new Set(results.map((result) => result.status)).size, 1, "outcomes");
		same(texts((await read(broker, "a")).entries), TEN, "log");
	},
	"a refused publish is nothing that afterKey finds": async ({ broker }) => {
		const ifPosition = { epoch: "another", offset: 7 };
		const refused = await broker.publish("a", json("1"), { retention: KEEP, idempotencyKey: "s:1", ifPosition });
		same([refused.status, refused.status === "conflict" && refused.early], ["conflict", undefined], "first");
		const late = await broker.publish("a", json("2"), { retention: KEEP, idempotencyKey: "s:2", afterKey: "s:1" });
		same([late.status, late.status === "conflict" && late.early], ["conflict", true], "second");
		same((await read(broker, "a")).head, 0, "head");
	},
	"broken input is invalid and appends nothing": async ({ broker }) => {
		const options = { retention: KEEP };
		const broken = "text" as unknown as Uint8Array;
		await refused("invalid", () => broker.publish("a", { data: broken, encoding: "json" }, options));
		await refused("invalid", () => broker.publish("a", { ...json("1"), encoding: "xml" as "json" }, options));
		await refused("invalid", () => broker.publish("a", { ...json("1"), ttlMs: -1 }, options));
		await refused("invalid", () => broker.publish("a", { ...json("1"), key: "k".repeat(100_000) }, options));
		await refused("invalid", () => broker.publish("a", { ...json("1"), report: "r".repeat(100_000) }, options));
		await refused("invalid", () => broker.publish("a", { ...json("1"), patch: false as unknown as true }, options));
		await refused("invalid", () => broker.publish("a", json("1"), { retention: { ...KEEP, messages: Number.NaN } }));
		await refused("invalid", () => broker.publish("", json("1"), options));
		await refused("invalid", () => broker.read("a", { after: Number.NaN, limit: 1 }));
		await refused("invalid", () => broker.read("a", { after: 0, limit: -1 }));
		same((await read(broker, "a")).head, 0, "head");
		same(bytesOf("1").length, 1, "one byte");
	},
};
