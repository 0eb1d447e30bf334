import { type BrokerListener, createMemoryCluster, type Publication, type PublishResult } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import { BrokerEar } from "../src/broker-ear.ts";
import { type FanOutCounts, type FanOutReport, FanOutReports, type Question } from "../src/fan-out-report.ts";
import { SILENT } from "../src/observe/log.ts";

/** A clock with timers that run when it is set on. */
class Clock {
	nowMs = 0;
	timers: { readonly atMs: number; readonly task: () => void }[] = [];

	readonly after = (delayMs: number, task: () => void): (() => void) => {
		const timer = { atMs: this.nowMs + delayMs, task };
		this.timers.push(timer);
		return () => {
			this.timers = this.timers.filter((other) => other !== timer);
		};
	};

	pass(ms: number): void {
		this.nowMs += ms;
		for (const timer of this.timers.filter(({ atMs }) => atMs <= this.nowMs)) {
			this.timers = this.timers.filter((other) => other !== timer);
			timer.task();
		}
	}
}

interface Published {
	readonly channel: string;
	readonly publication: Publication;
}

/** Nodes on one broker, each with its reports. */
function cluster({ maxWaiting = 100, maxWaitingOfOne = 10 } = {}) {
	const clock = new Clock();
	const brokers = createMemoryCluster();
	const published: Published[] = [];
	const subscribed: string[] = [];
	const node = (): FanOutReports => {
		const broker = brokers.node();
		return new FanOutReports({
			broker: {
				subscribe: (channel) => {
					subscribed.push(channel);
					return broker.subscribe(channel);
				},
				publish: (channel, publication, options) => {
					published.push({ channel, publication });
					return broker.publish(channel, publication, options);
				},
			},
			ear: new BrokerEar(broker),
			log: SILENT,
			timeoutMs: 1_000,
			maxWaiting,
			maxWaitingOfOne,
			nowMs: () => clock.nowMs,
			after: clock.after,
		});
	};
	return { clock, node, published, subscribed };
}

const ANN = { name: "ann" };
const NONE: FanOutCounts = { subscribers: 0, written: 0, lagging: 0, conflated: 0, skipped: 0 };
const accepted = (told?: number): PublishResult => ({
	status: "accepted",
	position: { epoch: "e", offset: 1 },
	duplicate: false,
	...(told === undefined ? {} : { told }),
});

/** What the promise has come to by the time that everything due has run; undefined for nothing yet. */
async function come(report: Promise<FanOutReport>): Promise<FanOutReport | undefined> {
	await new Promise((resolve) => setImmediate(resolve));
	return Promise.race([report, Promise.resolve(undefined)]);
}

async function ask(node: FanOutReports, asker: object = ANN): Promise<Question> {
	const question = await node.ask(asker);
	expect(question).toBeDefined();
	return question!;
}

describe("a report", () => {
	it("adds up what each node tells, and is complete when as many have told as were told of the entry", async () => {
		const { node } = cluster();
		const [asker, other] = [node(), node()];
		const question = await ask(asker);
		const report = question.conclude(accepted(2));
		other.tell(question.report, { subscribers: 5, written: 2, lagging: 1, conflated: 1, skipped: 1 });
		expect(await come(report)).toBeUndefined();
		asker.tell(question.report, { ...NONE, subscribers: 1, written: 1 });
		expect(await report).toEqual({
			subscribers: 6,
			written: 3,
			lagging: 1,
			conflated: 1,
			skipped: 1,
			complete: true,
		});
	});

	it("counts what was told before the broker had answered the publish", async () => {
		const { node } = cluster();
		const asker = node();
		const question = await ask(asker);
		asker.tell(question.report, { ...NONE, subscribers: 1, written: 1 });
		expect(await question.conclude(accepted(1))).toEqual({ ...NONE, subscribers: 1, written: 1, complete: true });
	});

	it("of a channel without subscribers on any node is complete at once", async () => {
		const { node } = cluster();
		const question = await ask(node());
		expect(await question.conclude(accepted(0))).toEqual({ ...NONE, complete: true });
	});

	it("is incomplete after a second where a node says nothing, with what the others said", async () => {
		const { node, clock } = cluster();
		const asker = node();
		const question = await ask(asker);
		const report = question.conclude(accepted(2));
		asker.tell(question.report, { ...NONE, subscribers: 3, written: 3 });
		clock.pass(999);
		expect(await come(report)).toBeUndefined();
		clock.pass(1);
		expect(await report).toEqual({ ...NONE, subscribers: 3, written: 3, complete: false });
	});

	it("is incomplete where the broker cannot say how many nodes were told", async () => {
		const { node, clock } = cluster();
		const asker = node();
		const question = await ask(asker);
		const report = question.conclude(accepted());
		asker.tell(question.report, { ...NONE, subscribers: 1, written: 1 });
		clock.pass(1_000);
		expect(await report).toEqual({ ...NONE, subscribers: 1, written: 1, complete: false });
	});

	it.each<PublishResult>([
		{ status: "accepted", position: { epoch: "e", offset: 1 }, duplicate: true },
		{ status: "scheduled", duplicate: false },
		{ status: "conflict", position: { epoch: "e", offset: 1 } },
	])("of what put nothing out ($status) is incomplete at once", async (result) => {
		const { node } = cluster();
		const question = await ask(node());
		expect(await question.conclude(result)).toEqual({ ...NONE, complete: false });
	});

	it("ends as it is when the node closes", async () => {
		const { node, clock } = cluster();
		const asker = node();
		const [waiting, late] = [await ask(asker), await ask(asker)];
		const report = waiting.conclude(accepted(1));
		asker.close();
		expect(await report).toEqual({ ...NONE, complete: false });
		expect(await late.conclude(accepted(1))).toEqual({ ...NONE, complete: false });
		expect(clock.timers).toEqual([]);
	});

	it("ignores what comes too late, or about nothing, or in words that are none", async () => {
		const { node, published } = cluster();
		const [asker, other] = [node(), node()];
		const question = await ask(asker);
		await question.conclude(accepted(0));
		const waiting = (await ask(asker)).conclude(accepted(1));
		for (const report of [question.report, "", "#1", "$report:#1", "order_1#1", question.report.replace("#1", "#x")]) {
			other.tell(report, { ...NONE, subscribers: 1 });
			asker.tell(report, { ...NONE, subscribers: 1 });
		}
		await new Promise((resolve) => setImmediate(resolve));
		expect(published.every(({ channel }) => channel.startsWith("$report:"))).toBe(true);
		const listener: BrokerListener = asker;
		const [channel = ""] = question.report.split("#");
		for (const text of ["", "{", "7", "[7]", "[[2]]", "[[2,-1,0,0,0,0]]", '[["2",0,0,0,0,0]]', "[[2,0,0,0,0,1e99]]"]) {
			listener.entries(channel, "e", [{ data: Buffer.from(text), encoding: "json", offset: 1, timeMs: 0 }]);
		}
		expect(await come(waiting)).toBeUndefined();
	});
});

describe("what it costs", () => {
	it("a node that tells itself does not go through the broker, and nobody's channel is subscribed to unasked", async () => {
		const { node, published, subscribed } = cluster();
		const asker = node();
		expect(subscribed).toEqual([]);
		const question = await ask(asker);
		await ask(asker);
		asker.tell(question.report, NONE);
		await come(question.conclude(accepted(1)));
		expect(subscribed).toHaveLength(1);
		expect(published).toEqual([]);
	});

	it("what one flush has to tell one asker goes in one message", async () => {
		const { node, published } = cluster({ maxWaitingOfOne: 100 });
		const [asker, other] = [node(), node()];
		const reports: Promise<FanOutReport>[] = [];
		const questions: Question[] = [];
		for (let count = 0; count < 100; count++) {
			questions.push(await ask(asker));
		}
		for (const question of questions) {
			reports.push(question.conclude(accepted(1)));
			other.tell(question.report, { ...NONE, subscribers: 1, written: 1 });
		}
		expect((await Promise.all(reports)).every(({ complete, written }) => complete && written === 1)).toBe(true);
		expect(published).toHaveLength(1);
	});

	it("one timer serves all, and none runs where nothing is waited for", async () => {
		const { node, clock } = cluster();
		const asker = node();
		const [first, second] = [await ask(asker), await ask(asker)];
		const reports = [first.conclude(accepted(1))];
		clock.pass(400);
		reports.push(second.conclude(accepted(1)));
		expect(clock.timers).toHaveLength(1);
		clock.pass(600);
		expect(await come(reports[0]!)).toMatchObject({ complete: false });
		expect(await come(reports[1]!)).toBeUndefined();
		expect(clock.timers.map(({ atMs }) => atMs)).toEqual([1_400]);
		asker.tell(second.report, NONE);
		expect(await reports[1]).toMatchObject({ complete: true });
		expect(clock.timers).toEqual([]);
	});

	it("a flood of reports that nobody tells of: one asker has its share, a node its bound", async () => {
		const { node, clock } = cluster({ maxWaiting: 15, maxWaitingOfOne: 10 });
		const asker = node();
		const [ann, bob] = [{}, {}];
		const asked = async (who: object, count: number): Promise<readonly (Question | undefined)[]> =>
			Promise.all(Array.from({ length: count }, () => asker.ask(who)));
		const anns = await asked(ann, 20);
		expect(anns.filter((question) => question !== undefined)).toHaveLength(10);
		expect((await asked(bob, 20)).filter((question) => question !== undefined)).toHaveLength(5);
		anns[0]?.drop();
		anns[0]?.drop();
		void anns[1]?.conclude(accepted(1));
		clock.pass(1_000);
		expect((await asked(bob, 20)).filter((question) => question !== undefined)).toHaveLength(2);
	});
});

it("asks again for its channel after the broker had refused it", async () => {
	let up = false;
	const reports = new FanOutReports({
		broker: {
			subscribe: async () => {
				if (!up) {
					throw new Error("away");
				}
				return { epoch: "e", offset: 0 };
			},
			publish: () => Promise.reject(new Error("away")),
		},
		ear: { on() {} },
		log: SILENT,
		timeoutMs: 1_000,
		maxWaiting: 1,
		maxWaitingOfOne: 1,
		nowMs: () => 0,
		after: () => () => {},
	});
	await expect(reports.ask(ANN)).rejects.toThrow("away");
	up = true;
	expect(await reports.ask(ANN)).toBeDefined();
});
