/**
 * What the operating system says of another process: its CPU time, in steps of 10 ms, and how long it stood in line for
 * a core, which on a core of its own is never.
 */
import { readFileSync } from "node:fs";

export interface CpuMicros {
	readonly user: number;
	readonly system: number;
}

const MICROS_PER_TICK = 10_000;

/** Zeros where there is no /proc. */
export function readCpu(pid: number): CpuMicros {
	let stat: string;
	try {
		stat = readFileSync(`/proc/${pid}/stat`, "latin1");
	} catch {
		return { user: 0, system: 0 };
	}
	// The second field is the program's name, which may hold anything: counted from behind it.
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return { user: Number(fields[11]) * MICROS_PER_TICK, system: Number(fields[12]) * MICROS_PER_TICK };
}

/** µs per delivery between two readings. */
export function perDelivery(before: CpuMicros, after: CpuMicros, deliveries: number): CpuMicros {
	return { user: (after.user - before.user) / deliveries, system: (after.system - before.system) / deliveries };
}

/** Milliseconds for which the main thread was ready to run and something else ran. 0 where the kernel does not say. */
export function readWaitMs(pid: number): number {
	try {
		return Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[1]) / 1e6;
	} catch {
		return 0;
	}
}
