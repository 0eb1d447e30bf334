/** Puts a node's sessions and claims together, with the timers that renew them. */
import { randomBytes } from "node:crypto";
import { Claims } from "./claims.ts";
import { LEASE_MS, NodeLease } from "./node-lease.ts";
import { HOLDER_BYTES } from "./record.ts";
import { Sessions, type SessionsOptions } from "./sessions.ts";

export interface KeptSessions {
	readonly sessions: Sessions;
	readonly claims: Claims;
	/** Waits for what is still being written. To be called when all connections have ended, before the broker closes. */
	close(): Promise<void>;
}

/** Sessions that are stored within a window; a record takes about 200 bytes. */
const MAX_STORED = 100_000;
const MAX_STEP_MS = 60_000;

export function keepSessions(parts: Omit<SessionsOptions, "instance" | "maxStored">): KeptSessions {
	const { broker, ear, log, windowMs, nowMs } = parts;
	const { records } = broker;
	// Not the node's name, which may be given twice or anew.
	const instance = randomBytes(HOLDER_BYTES).toString("base64url");
	const lease = new NodeLease({
		records,
		instance,
		every: (intervalMs, task) => {
			const timer = setInterval(task, intervalMs).unref();
			return () => clearInterval(timer);
		},
	});
	const sessions = new Sessions({ broker, ear, log, windowMs, nowMs, instance, maxStored: MAX_STORED });
	const claims = new Claims({
		records,
		lease,
		instance,
		// A claim that ended before its node's lease would be taken for one that was never made.
		windowMs: Math.max(windowMs, 2 * LEASE_MS),
		after: (delayMs, task) => void setTimeout(task, delayMs).unref(),
		failed: (cause) => log.warn("a call could not be claimed, or its reply not be kept", { cause }),
	});
	const renewal = setInterval(() => void sessions.renew(), Math.min(sessions.stepMs, MAX_STEP_MS)).unref();
	return {
		sessions,
		claims,
		async close() {
			clearInterval(renewal);
			await claims.close();
			await sessions.close();
			await lease.end();
		},
	};
}
