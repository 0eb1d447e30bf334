/**
 * Which start of the machine this is. What the kernel had taken but not yet written is lost with it, so the answer
 * tells a file that was written without waiting for the disk whether its tail may be missing.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

/** Linux knows. Elsewhere the answer is never the same twice: as if the machine had been started anew each time. */
export function readBoot(): string {
	try {
		return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
	} catch {
		return `unknown-${randomUUID()}`;
	}
}
