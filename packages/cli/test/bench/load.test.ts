import { describe, expect, it } from "vitest";
import { NOTHING_COUNTED } from "../../src/bench/continuity.ts";
import { shareOut } from "../../src/bench/crew.ts";
import { continuityOf, judgeLoad, rowOf } from "../../src/bench/delivered.ts";
import { Histogram } from "../../src/bench/histogram.ts";
import type { LoadFigures } from "../../src/bench/load-run.ts";
import type { WorkerFigures } from "../../src/bench/load-task.ts";
import { steadySchedule } from "../../src/bench/schedule.ts";

const worker: WorkerFigures = {
	deliveries: 10,
	latency: new Histogram().counts(),
	cpuShare: 0.2,
	waitedShare: 0,
	continuity: { ...NOTHING_COUNTED, delivered: 10 },
	subscriptions: 5,
	closed: 0,
};

function histogramOf(...values: number[]): Histogram {
	const histogram = new Histogram();
	values.forEach((value) => void histogram.record(value));
	return histogram;
}

const figures: LoadFigures = {
	workers: [worker, { ...worker, cpuShare: 0.5 }],
	latency: histogramOf(1_000, 1_000, 1_000, 4_000),
	answered: histogramOf(500),
	late: histogramOf(100),
	deliveries: 4,
	elapsedMs: 2_000,
	cpu: { user: 30_000, system: 10_000 },
	residentBytes: 50e6,
	refused: new Map(),
	series: [],
	interrupted: false,
	unanswered: 0,
};

describe("clients", () => {
	it("are shared out evenly, and no process is without", () => {
		expect(shareOut(10, 3)).toEqual([
			{ first: 0, clients: 3 },
			{ first: 3, clients: 3 },
			{ first: 6, clients: 4 },
		]);
		expect(shareOut(2, 8)).toHaveLength(2);
	});
});

describe("the load's own part in the figures", () => {
	it("is none while its processes have time left and publishes are on time", () => {
		expect(judgeLoad("schedule", figures)).toEqual({ processes: 2, cpuShare: 0.5, lateMs: 0.1, limit: null });
	});

	it("is the limit where a process has no time left", () => {
		const busy = { ...figures, workers: [worker, { ...worker, cpuShare: 0.97 }] };
		expect(judgeLoad("rounds", busy).limit).toBe("a load process used 97 % of a core");
	});

	it("is the limit where publishes are late", () => {
		const late = { ...figures, late: histogramOf(20_000) };
		expect(judgeLoad("schedule", late).limit).toBe("publishes were late, p99 20 ms");
		expect(judgeLoad("rounds", late).limit).toBeNull();
	});
});

describe("figures in a row", () => {
	const plan = { name: "a", clients: 1, channels: 1, every: false };

	it("are rates, percentiles in ms, and the server's CPU per delivery", () => {
		const pace = { kind: "schedule" as const, schedule: steadySchedule(1, 1, 1) };
		expect(rowOf({ ...plan, pace }, figures)).toMatchObject({
			case: "a",
			"deliveries/s": 2,
			"p50 ms": 1,
			"max ms": 4,
			"late p99 ms": 0.1,
			"cpu µs": 10_000,
			"cpu user µs": 7_500,
			"resident MB": 50,
		});
	});

	it("have no CPU where the server's process is not known, and no lateness in a closed loop", () => {
		const row = rowOf({ ...plan, pace: { kind: "rounds", messages: 1 } }, { ...figures, cpu: undefined });
		expect(Object.keys(row)).not.toContain("cpu µs");
		expect(Object.keys(row)).not.toContain("late p99 ms");
	});

	it("are nothing, not zero, where nothing was delivered", () => {
		const nothing = { ...figures, deliveries: 0, latency: new Histogram() };
		const row = rowOf({ ...plan, pace: { kind: "rounds", messages: 1 } }, nothing);
		expect(row).toMatchObject({ "p99 ms": null, "cpu µs": null });
	});

	it("of continuity add up over processes, with the first reason for a hang-up", () => {
		const workers = [worker, { ...worker, closed: 1, closedWhy: "code 4008" }];
		expect(continuityOf({ ...figures, workers })).toMatchObject({
			delivered: 20,
			subscriptions: 10,
			closed: 1,
			closedWhy: "code 4008",
		});
	});
});
