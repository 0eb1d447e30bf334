/** What the operating system says while something runs: a process's memory and CPU time, the kernel's share of TCP. Linux. */
import { readFileSync } from "node:fs";
import type { Measured } from "./process.ts";
import type { Series } from "./result.ts";

const PAGE_BYTES = 4_096;
const MICROS_PER_TICK = 10_000;

/** What the kernel holds for the buffers of all TCP sockets of this machine. */
export function tcpBytes(): number {
	const pages = /^TCP: .* mem (\d+)/m.exec(readFileSync("/proc/net/sockstat", "latin1"))?.[1];
	return Number(pages) * PAGE_BYTES;
}

/** CPU time of a process so far, in microseconds. */
export function cpuMicros(pid: number): { readonly user: number; readonly system: number } {
	const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
	// The second field is the program's name, which may hold anything: counted from behind it.
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return { user: Number(fields[11]) * MICROS_PER_TICK, system: Number(fields[12]) * MICROS_PER_TICK };
}

export function sleep(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

const SETTLE_MS = 300;
const SETTLE_PART = 0.001;
const SETTLE_TRIES = 20;

/** Resident bytes of a process at rest: after a collection, and two readings that hardly differ. */
export async function settled(process: Measured, collects: boolean): Promise<number> {
	let last = Number.NaN;
	for (let index = 0; index < SETTLE_TRIES; index++) {
		if (collects) {
			await process.collect();
		}
		const bytes = process.residentBytes;
		if (Math.abs(bytes - last) < SETTLE_PART * bytes) {
			return bytes;
		}
		last = bytes;
		await sleep(SETTLE_MS);
	}
	return last;
}

export interface Sample {
	readonly seconds: number;
	readonly residentMb: number;
	/** The kernel's, above what it was at the begin. */
	readonly tcpMb: number;
}

/** Looks at a process and the kernel from now on. */
export class Watch {
	readonly samples: Sample[] = [];
	readonly #process: Measured;
	readonly #startMs = performance.now();
	readonly #tcpBefore = tcpBytes();
	readonly #timer: NodeJS.Timeout;

	/** Kills the process where it takes more than `maxResidentMb`. */
	constructor(process: Measured, everyMs: number, maxResidentMb: number = Number.POSITIVE_INFINITY) {
		this.#process = process;
		this.look();
		this.#timer = setInterval(() => {
			if (this.look().residentMb > maxResidentMb) {
				clearInterval(this.#timer);
				void process.kill();
			}
		}, everyMs);
	}

	look(): Sample {
		const sample = {
			seconds: Math.round((performance.now() - this.#startMs) / 10) / 100,
			residentMb: Math.round(this.#process.residentBytes / 1e5) / 10,
			tcpMb: Math.round((tcpBytes() - this.#tcpBefore) / 1e5) / 10,
		};
		this.samples.push(sample);
		return sample;
	}

	end(): void {
		clearInterval(this.#timer);
	}

	/** As two lines of a graph. */
	series(system: string, graph: string): readonly Series[] {
		const x = this.samples.map(({ seconds }) => seconds);
		return [
			{ name: `${system}: resident memory`, unit: "MB", graph, x, y: this.samples.map(({ residentMb }) => residentMb) },
			{ name: `${system}: kernel's TCP memory`, unit: "MB", graph, x, y: this.samples.map(({ tcpMb }) => tcpMb) },
		];
	}
}
