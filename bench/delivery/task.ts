/** What the load process is told, and what it answers. */
import type { CpuMicros } from "./server-cpu.ts";

interface Target {
	/** The server's. */
	readonly port: number;
	readonly pid: number;
	readonly subscribers: number;
	readonly warmUpMs: number;
	readonly measureMs: number;
}

export type Task =
	| (Target & {
			readonly kind: "latency";
			readonly channels: number;
			/** Of each channel. */
			readonly subscribers: number;
			/** Messages a second in each channel. */
			readonly rate: number;
	  })
	| (Target & {
			readonly kind: "fanout";
			/** Messages that are published in one write. */
			readonly burst: number;
	  });

export interface LatencyFigures {
	readonly deliveries: number;
	readonly lost: number;
	readonly p50Ms: number;
	readonly p90Ms: number;
	readonly p99Ms: number;
	readonly maxMs: number;
	/** How late the load process was, at most, with a publish: what it cannot blame the server for. */
	readonly publisherLateMs: number;
	/** The part of the measured time in which server and load were ready to run and something else ran on their core. */
	readonly serverWaited: number;
	readonly loadWaited: number;
	/** Of the server, per delivery. */
	readonly cpu: CpuMicros;
}

export interface FanoutFigures {
	readonly deliveries: number;
	readonly elapsedMs: number;
	readonly cpu: CpuMicros;
}
