/** B11 on one node: what the hub says became of an entry, once it is flushed. */
import { expect, it } from "vitest";
import { type FanOut, Hub } from "../../src/hub/hub.ts";
import { FakeBroker, FakeSubscriber, LineEncoding, quiet } from "./fakes.ts";

async function channelWith(...sessions: readonly string[]) {
	const broker = new FakeBroker();
	const reports: (readonly [string, FanOut])[] = [];
	let nowMs = 1_000;
	const hub = new Hub(broker, {
		maxLogBytes: 1_000_000,
		maxLogsBytes: 1_000_000,
		nowMs: () => nowMs,
		unserved: () => {},
		reported: (report, counts) => reports.push([report, counts]),
	});
	broker.listen(hub);
	const encoding = new LineEncoding();
	const subscribers = sessions.map(
		(session) => new FakeSubscriber((each) => hub.flush.subscriber(each), encoding, session),
	);
	for (const subscriber of subscribers) {
		const { subscription } = await hub.join(subscriber, "a", { from: "now" }, "catch-up");
		hub.begin(subscription);
	}
	return {
		broker,
		reports,
		subscribers,
		setTime: (ms: number) => {
			nowMs = ms;
		},
	};
}

it("counts an excluded subscriber as skipped, whether it is behind or not", async () => {
	const { broker, reports, subscribers } = await channelWith("ann", "bob", "cid");
	subscribers[2]!.blocked = true;
	broker.append("a", [
		{ text: "1", exclude: "ann", report: "r1" },
		{ text: "2", exclude: "cid", report: "r2" },
	]);
	await quiet();
	expect(reports).toEqual([
		["r1", { subscribers: 3, written: 1, lagging: 1, conflated: 0, skipped: 1 }],
		["r2", { subscribers: 3, written: 2, lagging: 0, conflated: 0, skipped: 1 }],
	]);
});

it("counts all as skipped where the entry had expired before it could be written", async () => {
	const { broker, reports, subscribers, setTime } = await channelWith("ann", "bob");
	setTime(2_000);
	broker.append("a", [{ text: "late", timeMs: 1_000, ttlMs: 500, report: "r" }]);
	await quiet();
	expect(subscribers[0]!.received).toEqual(["gap 1-1 expired"]);
	expect(reports).toEqual([["r", { subscribers: 2, written: 0, lagging: 0, conflated: 0, skipped: 2 }]]);
});
