/**
 * What the operating system says of a server's process on this machine: its CPU time, in steps of 10 ms, and its
 * resident memory; and what all of the machine's TCP buffers hold. Linux only, by /proc.
 */
import { readFileSync } from "node:fs";
import { CliError } from "../error.ts";

export interface CpuMicros {
	readonly user: number;
	readonly system: number;
}

const MICROS_PER_TICK = 10_000;
const PAGE_BYTES = 4_096;

export class ServerProcess {
	readonly #pid: number;

	/** Throws `CliError` where there is no such process, or no /proc. */
	constructor(pid: number) {
		this.#pid = pid;
		this.cpu();
	}

	cpu(): CpuMicros {
		const stat = this.#read("stat");
		// The second field is the program's name, which may hold anything: counted from behind it.
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		return { user: Number(fields[11]) * MICROS_PER_TICK, system: Number(fields[12]) * MICROS_PER_TICK };
	}

	residentBytes(): number {
		return Number(this.#read("statm").split(" ")[1]) * PAGE_BYTES;
	}

	#read(name: "stat" | "statm"): string {
		try {
			return readFileSync(`/proc/${this.#pid}/${name}`, "latin1");
		} catch (cause) {
			throw new CliError("failure", `nothing is known of process ${this.#pid}: /proc/${this.#pid}/${name}`, { cause });
		}
	}
}

/** Bytes in the kernel's TCP buffers, of all processes together. 0 where the kernel does not say. */
export function tcpBufferBytes(): number {
	try {
		const [, pages = "0"] = /^TCP:.* mem (\d+)/m.exec(readFileSync("/proc/net/sockstat", "latin1")) ?? [];
		return Number(pages) * PAGE_BYTES;
	} catch {
		return 0;
	}
}
