/**
 * The suite that every broker passes: each invariant of `broker.ts` has its case. It imports no test framework; hand it
 * the `describe` and `it` of yours:
 *
 *     brokerCompliance("memory broker", { durability: "memory", can: ["advance"], create }, { describe, it });
 *
 * It waits for events and never for time; your framework's time limit catches what does not come. A case that needs
 * what the broker cannot do in a test (move the clock, restart, lose a log) is left out by name, see `can`.
 */
import type { Durability } from "./broker.ts";
import { channelCases } from "./compliance/channels.ts";
import { same } from "./compliance/claims.ts";
import { deliveryCases } from "./compliance/delivery.ts";
import { logCases } from "./compliance/log.ts";
import { recordCases } from "./compliance/records.ts";
import { scheduleCases } from "./compliance/schedule.ts";
import { snapshotCases } from "./compliance/snapshots.ts";
import type { CaseTable, ComplianceSubject } from "./compliance/subject.ts";

export type { ComplianceSubject } from "./compliance/subject.ts";

export type ComplianceAbility = "advance" | "reopen" | "lose";

export interface ComplianceOptions {
	readonly durability: Durability;
	/** Which of the optional methods `create`'s subjects have. */
	readonly can: readonly ComplianceAbility[];
	create(): Promise<ComplianceSubject>;
}

/** What the suite needs of a test framework. `skip` names the cases left out; without it they are left out silently. */
export interface ComplianceApi {
	describe(name: string, body: () => void): void;
	it(title: string, body: () => Promise<void>): void;
	readonly skip?: (title: string) => void;
}

/** Which abilities a case needs: those that are not listed need none. */
const NEEDS: Readonly<Record<string, readonly ComplianceAbility[]>> = {
	"retention by age keeps what is young": ["advance"],
	"epoch and head outlive the last entry": ["advance"],
	"an expired entry is absent, and its offset stays above the tail": ["advance"],
	"an idempotency key is forgotten after its time": ["advance"],
	"a record ends after its time, and setting it anew starts the time anew": ["advance"],
	"a replaced record's time starts anew, a refused one's goes on": ["advance"],
	"a record that has ended is nothing to replace and list": ["advance"],
	"when a log is lost its subscribers are told reset, and it goes on in another epoch": ["lose"],
	"no (epoch, offset) has two values after a restart": ["reopen"],
	"a snapshot outlives the last entry, as epoch and head do": ["advance"],
	"a snapshot is there as long as its epoch, and no longer": ["advance"],
	"an epoch that is lost takes its snapshot with it": ["lose"],
	"after a restart a snapshot is there with its epoch, or both are gone": ["reopen"],
	"a scheduled publish is not appended before its time, and then once": ["advance"],
	"it is appended with everything it was published with, and the time at which it was appended": ["advance"],
	"scheduled publishes are appended by their times, those of one time as they were accepted": ["advance"],
	"ttl counts from when it was appended": ["advance"],
	"a repeat of a scheduled publish is scheduled as before, until its time and after it": ["advance"],
	"a repeat for later of what was appended gets its position, and appends nothing": ["advance"],
	"the time of an idempotency key counts from when it was accepted, not from when it is appended": ["advance"],
	"what a node scheduled is appended though the node has closed": ["advance"],
	"what was scheduled survives a restart as `durability` says, and is appended once": ["advance", "reopen"],
	"a channel is listed as long as its epoch": ["advance"],
	"a lost log is listed where somebody is subscribed, and again when something is published": ["lose"],
	"after a restart the channels are listed whose epochs are still alive": ["reopen"],
};

/** Registers the suite for one broker. */
export function brokerCompliance(name: string, options: ComplianceOptions, api: ComplianceApi): void {
	const run = (title: string, body: (subject: ComplianceSubject) => Promise<void>): void => {
		if (NEEDS[title]?.some((need) => !options.can.includes(need))) {
			api.skip?.(title);
			return;
		}
		api.it(title, async () => {
			const subject = await options.create();
			try {
				await body(subject);
			} finally {
				await subject.close();
			}
		});
	};
	const group = (title: string, cases: CaseTable): void => {
		api.describe(title, () => {
			for (const [caseTitle, body] of Object.entries(cases)) {
				run(caseTitle, body);
			}
		});
	};
	api.describe(name, () => {
		run("says what an accepted publish survives", async ({ broker }) => {
			same(broker.durability, options.durability, "durability");
		});
		group("log", logCases);
		group("delivery", deliveryCases);
		group("snapshots", snapshotCases);
		group("scheduled publishes", scheduleCases);
		group("channels", channelCases);
		group("records", recordCases);
	});
}
