/** Publishes that wait for their time. Where time has to pass, these cases need `advance`. */
import type { Broker, PublishOptions } from "../broker.ts";
import { bytesOf, claim, json, KEEP, Listening, publish, read, refused, same, texts } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** What time it is for the broker. */
async function timeOf(broker: Broker): Promise<number> {
	await publish(broker, "what time is it", "0");
	return (await read(broker, "what time is it", { after: Infinity, limit: 1, reverse: true })).entries[0]!.timeMs;
}

/** Publishes a text for later, which must be accepted as new. */
async function schedule(
	broker: Broker,
	channel: string,
	value: string,
	atMs: number,
	options: Partial<PublishOptions> = {},
): Promise<void> {
	const result = await broker.publish(channel, json(value), { retention: KEEP, ...options, atMs });
	same(result, { status: "scheduled", duplicate: false }, `publish of ${value}`);
}

export const scheduleCases: CaseTable = {
	"a publish for later is scheduled, and until then neither counted, read nor told": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		await schedule(broker, "a", "1", (await timeOf(broker)) + HOUR_MS);
		const page = await read(broker, "a");
		same([page.head, page.entries], [0, []], "log");
		await publish(broker, "a", "2");
		same(texts(await here.entries("a", 1)), ["2"], "told");
		same(texts((await read(broker, "a")).entries), ["2"], "log after another publish");
	},
	"a scheduled publish is not appended before its time, and then once": async ({ broker, node, advance }) => {
		const here = new Listening(await node());
		await here.broker.subscribe("a");
		await schedule(broker, "a", "1", (await timeOf(broker)) + 1_000);
		await advance!(999);
		same((await read(broker, "a")).entries, [], "a millisecond before");
		same(here.told, [], "told a millisecond before");
		await advance!(1);
		same(texts(await here.entries("a", 1)), ["1"], "told");
		await advance!(HOUR_MS);
		await publish(broker, "a", "2");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told in the end");
		same(texts((await read(broker, "a")).entries).at(-1), "2", "log");
	},
	"it is appended with everything it was published with, and the time at which it was appended": async ({
		broker,
		advance,
	}) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const atMs = (await timeOf(broker)) + 1_000;
		const full = { name: "n", key: "k", from: "ann", exclude: "s1", ttlMs: MINUTE_MS, report: "r" };
		const publication = { ...json("1"), ...full, patch: true } as const;
		await broker.publish("a", publication, { retention: KEEP, atMs });
		await advance!(1_000);
		const [told] = await here.entries("a", 1);
		const [kept] = (await read(broker, "a")).entries;
		for (const entry of [told!, kept!]) {
			same(texts([entry]), ["1"], "data");
			for (const field of ["name", "key", "from", "exclude", "ttlMs", "report"] as const) {
				same(entry[field], full[field], field);
			}
			same([entry.patch, entry.encoding], [true, "json"], "patch and encoding");
			claim(entry.timeMs >= atMs, `it carries ${entry.timeMs}, which is before its time ${atMs}`);
			claim(entry.timeMs <= (await timeOf(broker)), `it carries ${entry.timeMs}, which has not come yet`);
		}
		same(told!.offset, kept!.offset, "offset");
	},
	"scheduled publishes are appended by their times, those of one time as they were accepted": async ({
		broker,
		node,
		advance,
	}) => {
		const other = await node();
		const here = new Listening(broker);
		await broker.subscribe("a");
		const nowMs = await timeOf(broker);
		const delays = [500, 300, 500, 100, 300, 500, 200, 100, 400, 300];
		for (const [index, delayMs] of delays.entries()) {
			await schedule(index % 2 ? broker : other, "a", `"${delayMs} ${index}"`, nowMs + delayMs);
		}
		await advance!(1_000);
		const expected = delays.map((delayMs, index) => `"${delayMs} ${index}"`).sort();
		same(texts(await here.entries("a", 10)), expected, "told");
		same(texts((await read(broker, "a")).entries), expected, "log");
	},
	"a time that has passed means now": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const nowMs = await timeOf(broker);
		const first = await publish(broker, "a", "1", { atMs: 0 });
		const second = await publish(broker, "a", "2", { atMs: nowMs - 1 });
		claim(second.offset > first.offset, "not ascending");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told");
	},
	"ttl counts from when it was appended": async ({ broker, advance }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const atMs = (await timeOf(broker)) + 5_000;
		await broker.publish("a", { ...json("1"), ttlMs: 1_000 }, { retention: KEEP, atMs });
		await advance!(5_000);
		await here.entries("a", 1);
		await advance!(999);
		same(texts((await read(broker, "a")).entries), ["1"], "in time");
		await advance!(1);
		same((await read(broker, "a")).entries, [], "expired");
	},
	"a repeat of a scheduled publish is scheduled as before, until its time and after it": async ({
		broker,
		node,
		advance,
	}) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const other = await node();
		const key = { idempotencyKey: "k", idempotencyMs: HOUR_MS };
		const atMs = (await timeOf(broker)) + 1_000;
		await schedule(broker, "a", "1", atMs, key);
		const repeats: readonly PublishOptions[] = [
			{ retention: KEEP, ...key, atMs },
			{ retention: KEEP, ...key, atMs: atMs + 1 },
			{ retention: KEEP, ...key },
		];
		for (const options of repeats) {
			same(await other.publish("a", json("1"), options), { status: "scheduled", duplicate: true }, "before its time");
		}
		await advance!(1_000);
		await here.entries("a", 1);
		for (const options of repeats) {
			same(await broker.publish("a", json("1"), options), { status: "scheduled", duplicate: true }, "after it");
		}
		await advance!(1_000);
		await publish(broker, "a", "2");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told");
		same(texts((await read(broker, "a")).entries), ["1", "2"], "log");
	},
	"repeats that race schedule one": async ({ broker, node }) => {
		const other = await node();
		const atMs = (await timeOf(broker)) + HOUR_MS;
		const options = { retention: KEEP, idempotencyKey: "k", idempotencyMs: MINUTE_MS, atMs };
		const results = await Promise.all(
			["0", "1", "2", "3"].map((_, index) => (index % 2 ? broker : other).publish("a", json("1"), options)),
		);
		same(
			results.map((result) => result.status),
			["scheduled", "scheduled", "scheduled", "scheduled"],
			"status",
		);
		same(results.filter((result) => result.status === "scheduled" && !result.duplicate).length, 1, "first ones");
	},
	"a repeat for later of what was appended gets its position, and appends nothing": async ({ broker, advance }) => {
		const key = { idempotencyKey: "k", idempotencyMs: HOUR_MS };
		const position = await publish(broker, "a", "1", key);
		const atMs = (await timeOf(broker)) + 1_000;
		const again = await broker.publish("a", json("1"), { retention: KEEP, ...key, atMs });
		same(again, { status: "accepted", position, duplicate: true }, "repeat");
		await advance!(2_000);
		same(texts((await read(broker, "a")).entries), ["1"], "log");
	},
	"the time of an idempotency key counts from when it was accepted, not from when it is appended": async ({
		broker,
		advance,
	}) => {
		const key = { idempotencyKey: "k", idempotencyMs: 1_000 };
		const atMs = (await timeOf(broker)) + HOUR_MS;
		await schedule(broker, "a", "1", atMs, key);
		await advance!(1_000);
		await schedule(broker, "a", "1", atMs, key);
	},
	"what a node scheduled is appended though the node has closed": async ({ broker, node, advance }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const other = await node();
		await schedule(other, "a", "1", (await timeOf(broker)) + 1_000);
		await other.close();
		await advance!(1_000);
		same(texts(await here.entries("a", 1)), ["1"], "told");
	},
	"what was scheduled survives a restart as `durability` says, and is appended once": async ({
		broker,
		reopen,
		advance,
	}) => {
		await schedule(broker, "a", "1", (await timeOf(broker)) + 1_000);
		const here = new Listening(await reopen!());
		const { durability } = here.broker;
		await here.broker.subscribe("a");
		await advance!(1_000);
		const expected = durability === "memory" ? [] : ["1"];
		await here.entries("a", expected.length);
		await publish(here.broker, "a", "2");
		same(texts(await here.entries("a", expected.length + 1)), [...expected, "2"], "told");
	},
	"a publish for later is checked when it is handed in": async ({ broker }) => {
		const retention = KEEP;
		const atMs = (await timeOf(broker)) + HOUR_MS;
		const broken = "text" as unknown as Uint8Array;
		await refused("invalid", () => broker.publish("a", { data: broken, encoding: "json" }, { retention, atMs }));
		await refused("invalid", () => broker.publish("", json("1"), { retention, atMs }));
		for (const wrong of [Number.NaN, Infinity, -1]) {
			await refused("invalid", () => broker.publish("a", json("1"), { retention, atMs: wrong }));
		}
	},
	"neither a condition nor a snapshot goes with a time, even one that has passed": async ({ broker }) => {
		const retention = KEEP;
		const ifPosition = await publish(broker, "a", "1");
		for (const atMs of [0, (await timeOf(broker)) + HOUR_MS]) {
			await refused("invalid", () => broker.publish("a", json("2"), { retention, atMs, ifPosition }));
			await refused("invalid", () => broker.publish("a", json("2"), { retention, atMs, snapshot: bytesOf("2") }));
		}
		same((await read(broker, "a")).head, ifPosition.offset, "head");
	},
};
