/** Results made up for the report's tests: each kind of picture and table once, with names that must be escaped. */
import type { Result, Row } from "../result.ts";

const MACHINE = { cpu: "AMD EPYC", cores: 2, memoryGb: 25.3, kernel: "linux 6.18", node: "v24.21.0", pinned: true };

/** CPU per delivery: total, least, most, user; then the ratio to ws. */
function cpuRow(name: string, system: string, cpu: readonly [number, number, number, number], ofWs: number): Row {
	const [total, least, most, user] = cpu;
	return {
		system,
		case: name,
		deliveries: 345_000,
		lost: 0,
		"cpu µs": total,
		least,
		most,
		"user µs": user,
		"cpu / ws": ofWs,
	};
}

const fanout: Result = {
	subject: "fanout",
	date: "2026-01-31",
	machine: MACHINE,
	method: "A burst is published in one write; the next follows when every subscriber has all of it.",
	options: { seconds: 2, rounds: 5, clients: 1_000 },
	goals: [
		{ name: "1 message a turn: CPU of ws", limit: 0.9, figure: 0.86, least: 0.82, most: 0.91, met: true },
		{ name: "1 message a turn: user CPU of ws", limit: 0.6, figure: 0.74, least: 0.7, most: 0.8, met: false },
		{ name: "bursts of 20: CPU of ws", limit: 0.06, figure: 0.0571, least: 0.055, most: 0.061, met: true },
		{ name: "bursts of 20: CPU of Centrifugo", limit: 0.5, figure: null, met: null },
	],
	rows: [
		cpuRow("1 message a turn", "tidewire", [8.9, 8.5, 9.6, 1.9], 0.86),
		cpuRow("1 message a turn", "ws", [10.3, 9.2, 11.4, 2.6], 1),
		cpuRow("1 message a turn", "bare socket", [8.4, 8.3, 8.8, 1.6], 0.81),
		cpuRow("1 message a turn", "socket.io", [14, 13.2, 15.1, 4.9], 1.36),
		cpuRow("bursts of 20", "tidewire", [0.59, 0.57, 0.63, 0.17], 0.0571),
		cpuRow("bursts of 20", "ws", [10.3, 9.1, 11, 2.5], 1),
		cpuRow("bursts of 20", "bare socket", [0.52, 0.51, 0.55, 0.12], 0.05),
		cpuRow("bursts of 20", "socket.io", [10.9, 10.2, 12, 3.1], 1.06),
	],
	absent: [{ system: "Centrifugo", reason: "no binary here <and no package>" }],
	disturbed: "server or load stood in line for a core for up to 4 % of a round",
};

const SIZES = [10, 100, 1_000, 10_000, 18_000];

const scale: Result = {
	subject: "scale",
	date: "2026-01-31",
	machine: MACHINE,
	method: "The same for each number of subscribers.",
	options: { rounds: 3 },
	goals: [{ name: "18,000 subscribers: user CPU of 10", limit: 1.1, figure: 1.06, least: 1, most: 1.2, met: true }],
	rows: SIZES.flatMap((size, index) => [
		cpuRow(`${size.toLocaleString("en")} subscribers`, "tidewire", [8 + index, 8, 9 + index, 1.9], 0.8),
		cpuRow(`${size.toLocaleString("en")} subscribers`, "ws", [9 + index, 9, 10 + index, 2.4], 1),
	]),
	series: ["tidewire", "ws"].flatMap((system, at) => [
		{
			name: `${system}: CPU`,
			graph: "CPU per delivery by subscribers",
			unit: "µs",
			xUnit: "subscribers",
			x: SIZES,
			y: SIZES.map((_, index) => 8 + at + index),
		},
		{
			name: `${system}: user CPU`,
			graph: "CPU per delivery by subscribers",
			unit: "µs",
			xUnit: "subscribers",
			x: SIZES,
			y: SIZES.map(() => 2 + at / 2),
		},
	]),
	absent: [],
};

const SECONDS = Array.from({ length: 200 }, (_, index) => index / 4);

const stalled: Result = {
	subject: "stalled",
	date: "2026-01-31",
	machine: MACHINE,
	method: "100 of 1,000 sockets stop reading while 40 MB are published.",
	options: { megabytes: 40 },
	goals: [
		{ name: "resident memory added", limit: 40, unit: "MB", figure: 23.4, met: true },
		{ name: "healthy readers: messages that did not come", limit: 0, figure: 0, met: true },
		{
			name: "all stalled: growth from the second third of the time to the last, the kernel's share included",
			limit: 10,
			unit: "MB",
			figure: -0.2,
			met: true,
		},
		{ name: "healthy readers that got everything", limit: 100, unit: "%", atLeast: true, figure: 100, met: true },
	],
	rows: [
		{ system: "tidewire", case: "100 of 1,000 stalled", "p99 ms without": 8.2, "p99 ms with": 8.4, "peak MB": 104 },
		{ system: "ws", case: "100 of 1,000 stalled", "p99 ms without": 8.9, "p99 ms with": 31.5, "peak MB": 1_220 },
	],
	series: ["tidewire", "ws"].flatMap((system, at) => [
		{
			name: `${system}: resident memory`,
			graph: "100 of 1,000 stalled",
			unit: "MB",
			x: SECONDS,
			y: SECONDS.map((second) => (at === 0 ? 81 + 23 * (1 - Math.exp(-second / 5)) : 70 + second * 23)),
		},
		{
			name: `${system}: kernel's TCP memory`,
			graph: "100 of 1,000 stalled",
			unit: "MB",
			x: SECONDS,
			y: SECONDS.map((second) => (at === 0 ? Math.min(31, second * 9) : Math.min(270, second * 60))),
		},
	]),
	absent: [{ system: "Centrifugo", reason: "no binary here <and no package>" }],
};

export const SAMPLE: readonly Result[] = [fanout, scale, stalled];
