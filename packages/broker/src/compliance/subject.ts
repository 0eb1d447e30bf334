/** What a case of the suite is given, and what a case is. */
import type { Broker } from "../broker.ts";

/** One empty store, for one case. */
export interface ComplianceSubject {
	readonly broker: Broker;
	/** Another node on the same store. */
	node(): Promise<Broker>;
	/** Lets this much time pass for the store. */
	advance?(ms: number): void | Promise<void>;
	/** Ends all nodes, and opens the same store as after a restart of the process. */
	reopen?(): Promise<Broker>;
	/** Makes the store lose a channel's log, as a failover may. */
	lose?(channel: string): void | Promise<void>;
	/** Ends all nodes that are still open, and removes the store. */
	close(): Promise<void>;
}

/** Cases by title. */
export type CaseTable = Readonly<Record<string, (subject: ComplianceSubject) => Promise<void>>>;
