/** What a channel amounts to: kept together with the entry it belongs to, as long as the epoch lives. */
import type { Broker, Snapshot } from "../broker.ts";
import { bytesOf, claim, json, KEEP, Listening, publish, read, refused, same, textOf } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

const TEN = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const NOTHING = { messages: 0, bytes: 0, ageMs: 0 };
const HOUR_MS = 3_600_000;

/** A channel's newest snapshot as `[offset, text]`. */
async function newest(broker: Broker, channel: string): Promise<[number | undefined, string | undefined]> {
	const { offset, data } = await broker.snapshot(channel);
	return [offset, textOf(data)];
}

/** Adds one to the number that is the channel's snapshot; each conflict means that another has won. */
async function increment(broker: Broker, channel: string): Promise<void> {
	for (let attempt = 0; attempt < 100; attempt++) {
		const { epoch, head, offset, data } = await broker.snapshot(channel);
		same(offset ?? 0, head, "offset of a snapshot that comes with every entry");
		const value = String(Number(textOf(data) ?? "0") + 1);
		const result = await broker.publish(channel, json(value), {
			retention: KEEP,
			ifPosition: { epoch, offset: head },
			snapshot: bytesOf(value),
		});
		if (result.status === "accepted") {
			return;
		}
	}
	throw new Error("a hundred conflicts, but others have less than that to do");
}

export const snapshotCases: CaseTable = {
	"a channel without a snapshot has an epoch and a head, and neither offset nor data": async ({ broker }) => {
		const unknown = await broker.snapshot("a");
		same([unknown.head, unknown.offset, unknown.data], [0, undefined, undefined], "unknown channel");
		const position = await publish(broker, "a", "1");
		same(position.epoch, unknown.epoch, "the epoch that was said and the one that followed");
		const known = await broker.snapshot("a");
		same([known.epoch, known.head], [position.epoch, position.offset], "epoch and head");
		same([known.offset, known.data], [undefined, undefined], "snapshot");
	},
	"a snapshot is read with the offset it was published at, and the head": async ({ broker, node }) => {
		const other = await node();
		const first = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		const second = await publish(broker, "a", "2");
		for (const each of [broker, other]) {
			const { epoch, head, offset, data } = await each.snapshot("a");
			same([epoch, head, offset], [first.epoch, second.offset, first.offset], "epoch, head and offset");
			same(textOf(data), "one", "data");
		}
	},
	"the next snapshot takes the place of the one before": async ({ broker }) => {
		await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		const { offset } = await publish(broker, "a", "2", { snapshot: bytesOf("two") });
		same(await newest(broker, "a"), [offset, "two"], "snapshot");
	},
	"channels have snapshots of their own": async ({ broker }) => {
		const a = await publish(broker, "a", "1", { snapshot: bytesOf("of a") });
		const b = await publish(broker, "b", "1", { snapshot: bytesOf("of b") });
		await publish(broker, "c", "1");
		same(await newest(broker, "a"), [a.offset, "of a"], "a");
		same(await newest(broker, "b"), [b.offset, "of b"], "b");
		same(await newest(broker, "c"), [undefined, undefined], "c");
	},
	"a snapshot is any bytes, none included": async ({ broker }) => {
		const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
		await publish(broker, "a", "1", { snapshot: all });
		same([...(await broker.snapshot("a")).data!], [...all], "every byte");
		const { offset } = await publish(broker, "a", "2", { snapshot: new Uint8Array(0) });
		same(await newest(broker, "a"), [offset, ""], "no bytes");
	},
	"a snapshot stays, whatever the retention": async ({ broker }) => {
		const first = await publish(broker, "a", "1", { snapshot: bytesOf("one"), retention: NOTHING });
		same(await newest(broker, "a"), [first.offset, "one"], "published with retention 0");
		const second = await publish(broker, "a", "2", { snapshot: bytesOf("two") });
		for (const value of TEN) {
			await publish(broker, "a", value, { retention: { ...KEEP, messages: 2 } });
		}
		same(await newest(broker, "a"), [second.offset, "two"], "its entry is no longer kept");
		await publish(broker, "a", "3", { retention: NOTHING });
		same(await newest(broker, "a"), [second.offset, "two"], "nothing is kept");
	},
	"a snapshot outlives the last entry, as epoch and head do": async ({ broker, advance }) => {
		const position = await publish(broker, "a", "1", {
			snapshot: bytesOf("one"),
			retention: { ...KEEP, ageMs: 1_000 },
		});
		await advance!(23 * HOUR_MS);
		same((await broker.snapshot("a")).epoch, position.epoch, "epoch");
		same(await newest(broker, "a"), [position.offset, "one"], "snapshot");
	},
	"a snapshot is there as long as its epoch, and no longer": async ({ broker, advance }) => {
		const { epoch, offset } = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		for (let day = 0; day < 4; day++) {
			await advance!(24 * HOUR_MS);
			const later = await broker.snapshot("a");
			const expected = later.epoch === epoch ? [offset, "one"] : [undefined, undefined];
			same([later.offset, textOf(later.data)], expected, `snapshot after ${day + 1} days`);
		}
	},
	"an epoch that is lost takes its snapshot with it": async ({ broker, lose }) => {
		const here = new Listening(broker);
		await broker.subscribe("subscribed");
		for (const channel of ["subscribed", "quiet"]) {
			const { epoch } = await publish(broker, channel, "1", { snapshot: bytesOf("one") });
			await lose!(channel);
			const after = await broker.snapshot(channel);
			claim(after.epoch !== epoch, `${channel}: the epoch stayed`);
			same([after.offset, after.data], [undefined, undefined], `${channel}: snapshot`);
		}
		await here.reset("subscribed");
	},
	"after a restart a snapshot is there with its epoch, or both are gone": async ({ broker, reopen }) => {
		const { epoch, offset } = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		const after = await (await reopen!()).snapshot("a");
		const expected = after.epoch === epoch ? [offset, "one"] : [undefined, undefined];
		same([after.offset, textOf(after.data)], expected, "snapshot");
	},
	"a conflict leaves the snapshot that was there": async ({ broker }) => {
		const { epoch, offset } = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		const result = await broker.publish("a", json("2"), {
			retention: KEEP,
			ifPosition: { epoch, offset: offset + 1 },
			snapshot: bytesOf("two"),
		});
		same(result, { status: "conflict", position: { epoch, offset } }, "result");
		same(await newest(broker, "a"), [offset, "one"], "snapshot");
	},
	"a repeat with the same idempotency key leaves the snapshot that was there": async ({ broker }) => {
		const options = { idempotencyKey: "k", idempotencyMs: 60_000 };
		await publish(broker, "a", "1", { ...options, snapshot: bytesOf("one") });
		const { offset } = await publish(broker, "a", "2", { snapshot: bytesOf("two") });
		await broker.publish("a", json("1"), { ...options, retention: KEEP, snapshot: bytesOf("one") });
		same(await newest(broker, "a"), [offset, "two"], "snapshot");
	},
	"a publish that is invalid leaves the snapshot that was there": async ({ broker }) => {
		const { offset } = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		const text = "two" as unknown as Uint8Array;
		await refused("invalid", () => broker.publish("a", json("2"), { retention: KEEP, snapshot: text }));
		await refused("invalid", () =>
			broker.publish("a", { ...json("2"), ttlMs: -1 }, { retention: KEEP, snapshot: bytesOf("two") }),
		);
		same((await read(broker, "a")).head, offset, "head");
		same(await newest(broker, "a"), [offset, "one"], "snapshot");
	},
	"of publishes that race on one position, the one that is appended leaves its snapshot": async ({ broker, node }) => {
		const other = await node();
		const ifPosition = await publish(broker, "a", "0", { snapshot: bytesOf("before") });
		const results = await Promise.all(
			TEN.map((value, index) =>
				(index % 2 ? broker : other).publish("a", json(value), {
					retention: KEEP,
					ifPosition,
					snapshot: bytesOf(value),
				}),
			),
		);
		const winner = results.findIndex((result) => result.status === "accepted");
		claim(winner >= 0, "nobody won");
		const won = results[winner]!;
		same(await newest(broker, "a"), [won.status === "accepted" && won.position.offset, TEN[winner]], "snapshot");
	},
	"what nodes add to a snapshot by compare-and-set is all counted": async ({ broker, node }) => {
		const nodes = [broker, await node(), await node()];
		await Promise.all(
			nodes.map(async (each) => {
				for (let count = 0; count < 5; count++) {
					await increment(each, "a");
				}
			}),
		);
		same((await newest(broker, "a"))[1], "15", "sum");
	},
	"a snapshot and its offset belong together, also while others publish": async ({ broker, node }) => {
		const other = await node();
		const offsets: number[] = [];
		const publishing = (async () => {
			for (const value of TEN) {
				offsets.push((await publish(broker, "a", value, { snapshot: bytesOf(value) })).offset);
			}
		})();
		const seen: Snapshot[] = [];
		for (let turn = 0; turn < 30; turn++) {
			seen.push(await other.snapshot("a"));
		}
		await publishing;
		for (const { head, offset, data } of [...seen, await other.snapshot("a")]) {
			same(offset ?? 0, head, "every entry has a snapshot, so the newest is the head's");
			same(textOf(data), offset === undefined ? undefined : TEN[offsets.indexOf(offset)], `snapshot at ${offset}`);
		}
	},
	"when an entry is told its snapshot can be read": async ({ broker, node }) => {
		const here = new Listening(await node());
		await here.broker.subscribe("a");
		const readWhenTold = async (): Promise<void> => {
			const [entry] = await here.entries("a", 1);
			same(await newest(here.broker, "a"), [entry!.offset, "one"], "snapshot");
		};
		await Promise.all([readWhenTold(), publish(broker, "a", "1", { snapshot: bytesOf("one") })]);
	},
};
