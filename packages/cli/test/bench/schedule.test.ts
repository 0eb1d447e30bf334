import { describe, expect, it } from "vitest";
import { recordedSchedule, type Schedule, steadySchedule } from "../../src/bench/schedule.ts";

function list(schedule: Schedule): readonly (readonly [dueMs: number, channel: number])[] {
	return Array.from({ length: schedule.total }, (_, index) => [
		Math.round(schedule.dueMicros(index)) / 1_000,
		schedule.channel(index),
	]);
}

describe("a steady schedule", () => {
	it("gives each channel its rate, at even distances", () => {
		expect(list(steadySchedule(2, 10, 0.2))).toEqual([
			[0, 0],
			[50, 1],
			[100, 0],
			[150, 1],
		]);
	});
});

describe("a recording's schedule", () => {
	const recording = [
		{ at: 1_000, channel: 0 },
		{ at: 1_000.5, channel: 1 },
		{ at: 1_001, channel: 0 },
	];

	it("keeps the recording's own pace", () => {
		expect(list(recordedSchedule(recording, 1, 1.2))).toEqual([
			[0, 0],
			[500, 1],
			[1_000, 0],
		]);
	});

	it("is as many times faster as it is told", () => {
		expect(list(recordedSchedule(recording, 10, 0.12)).map(([dueMs]) => dueMs)).toEqual([0, 50, 100]);
	});

	it("begins again where the recording ends, after its mean pause", () => {
		const schedule = recordedSchedule(recording, 1, 4);
		expect(list(schedule).map(([dueMs]) => dueMs)).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500]);
		expect([3, 4].map((index) => schedule.payload(index))).toEqual([0, 1]);
	});

	it("never goes back in time, whatever the recorder's clock did", () => {
		const jumpy = [5, 4, 7, 6].map((at) => ({ at, channel: 0 }));
		const due = list(recordedSchedule(jumpy, 1, 10)).map(([dueMs]) => dueMs);
		expect(due).toEqual(due.toSorted((a, b) => a - b));
	});

	it("of a single message repeats it once a second", () => {
		expect(list(recordedSchedule([{ at: 5, channel: 0 }], 1, 2)).map(([dueMs]) => dueMs)).toEqual([0, 1_000]);
	});
});
